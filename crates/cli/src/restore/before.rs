use attesto_core::{AuditPlace, AuthorityId, Instant, KeyTable};
use attesto_server::config::Settings;
use attesto_store::{Store, StoreError};

use crate::failure::Failure;

/// What the database says that is about to be replaced: later things than the copy does.
pub struct Before {
    /// Its keys, proved.
    pub keys: KeyTable,
    /// Of its feed.
    pub epoch: Instant,
    /// Where the chain of its audit ended, if it had one and says so.
    pub audit: Option<AuditPlace>,
    authority: Option<AuthorityId>,
}

impl Before {
    /// Says why there is nothing to know, if so.
    pub async fn read(settings: &Settings) -> Result<Self, String> {
        Self::try_read(settings).await.map_err(|cause| cause.to_string())
    }

    async fn try_read(settings: &Settings) -> Result<Self, Failure> {
        let store = Store::open(&settings.database)?;
        let keeper = attesto_server::keeper(&store, settings).await?;
        let keys = keeper.read().await?.0.table().clone();
        let epoch = store.read(|tx| tx.feed_head()).await?.feed.epoch;
        // One of an older version has none.
        let head = store.read(|tx| tx.find_audit_head()).await.ok().flatten();
        let audit = head.map(|sealed| sealed.head.last);
        Ok(Self { keys, epoch, audit, authority: authority_of(&store).await? })
    }

    /// Whether a key was published once, and is no more.
    pub fn has_withdrawn(&self, kid: &str) -> bool {
        self.keys.find(kid).is_some_and(|key| !key.state.is_published())
    }

    /// Two authorities may have the same name.
    pub async fn require_same_authority(&self, copy: &Store) -> Result<(), Failure> {
        if authority_of(copy).await? == self.authority {
            return Ok(());
        }
        Err(Failure::new("it is a copy of another authority, which has the same issuer; nothing was changed"))
    }
}

async fn authority_of(store: &Store) -> Result<Option<AuthorityId>, StoreError> {
    store.read(|tx| Ok(tx.find_authority()?.map(|authority| authority.id))).await
}
