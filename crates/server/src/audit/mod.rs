//! The chain of the audit: every row gets a place in it, soon after it was written.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use attesto_core::{AuditHead, AuthorityId, Instant, KekId, SealedAuditHead};
use attesto_keyring::{AuditHeadError, KeyEncryptionKeys};
use attesto_store::{Changed, Read, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// How often rows get their place.
const EVERY: Duration = Duration::from_secs(10);

/// Rows per transaction: short enough that no request notices.
const BATCH: i64 = 500;

/// Transactions in a row: what a database of many years brings along is sealed bit by bit.
const BATCHES: usize = 40;

/// Losing a race means that somebody else sealed a batch; a dozen in a row is no coincidence.
const ATTEMPTS: usize = 12;

/// The chain of one database. Cheap to clone; all clones remember the same head.
#[derive(Clone)]
pub struct AuditChain {
    store: Store,
    keks: Arc<KeyEncryptionKeys>,
    authority: AuthorityId,
    /// The latest head that has proved to be genuine: one from before it was put back.
    known: Arc<Mutex<Option<AuditHead>>>,
}

/// Why the chain is not extended, or not believed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The head is not what a holder of the key-encryption key wrote.
    #[error(transparent)]
    Head(#[from] AuditHeadError),
    /// Rows are sealed, and nothing says how many there were.
    #[error(
        "rows of the audit are sealed up to {last}, and the head of the chain was taken away; \
         find out by whom, and restore the row of audit_head from a backup"
    )]
    HeadMissing {
        /// The last place of a row.
        last: i64,
    },
    /// Rows are sealed that the head knows nothing of.
    #[error(
        "the head of the audit was set back: it ends the chain at row {head}, and row {found} is sealed; \
         find out by whom, and restore the row of audit_head from a backup"
    )]
    HeadSetBack {
        /// The last place by the head.
        head: i64,
        /// The last place of a row.
        found: i64,
    },
    /// The head is older than the one that was seen.
    #[error(
        "the database holds version {stored} of the head of the audit, and this server has seen version {known}; \
         restore the newer database, or restart the server if it was replaced on purpose"
    )]
    WentBack {
        /// The one that was seen.
        known: i64,
        /// In the database; 0 if there is none.
        stored: i64,
    },
    /// A query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuditChain {
    /// Of `authority` in `store`.
    pub fn new(store: Store, keks: Arc<KeyEncryptionKeys>, authority: AuthorityId) -> Self {
        Self { store, keks, authority, known: Arc::default() }
    }

    /// The head, proved; `None` before the first row was sealed.
    pub async fn head(&self) -> Result<Option<AuditHead>, AuditError> {
        Ok(self.read(|_, _| Ok(())).await?.0.map(|(head, _)| head))
    }

    /// Gives rows that have none their places, and says how many; there may be more. Of several servers one does it.
    pub async fn seal(&self, now: Instant) -> Result<usize, AuditError> {
        let mut sealed = 0;
        for _ in 0..BATCHES {
            let count = self.seal_batch(now).await?;
            if count == 0 {
                break;
            }
            sealed += count;
        }
        Ok(sealed)
    }

    async fn seal_batch(&self, now: Instant) -> Result<usize, AuditError> {
        let (present, events) = self.read(|tx, _| tx.list_unsealed_audit_events(BATCH)).await?;
        if events.is_empty() {
            return Ok(0);
        }
        let head = present.as_ref().map_or_else(|| AuditHead::begin(now), |(head, _)| *head);
        let (links, next) = head.extend(&events, now);
        let next = match &present {
            Some((_, kek_id)) => self.keks.seal_audit_head(next, kek_id, &self.authority)?,
            None => self.keks.rewrap_audit_head(next, &self.authority),
        };
        let (from, count, head) = (present.map(|(head, _)| head.version), links.len(), next.head);
        match self.store.write(move |tx| tx.seal_audit_events(from, &next, &links)).await? {
            Changed::Yes => {
                self.remember(head);
                Ok(count)
            }
            Changed::LostRace => Ok(0),
        }
    }

    /// Removes the oldest rows of the chain that are from before `before`, at most a batch, and says how many. Whoever seals
    /// at the same time may be first; then it is decided again.
    pub async fn purge(&self, before: Instant, now: Instant) -> Result<usize, AuditError> {
        for _ in 0..ATTEMPTS {
            if let Some(count) = self.purge_batch(before, now).await? {
                return Ok(count);
            }
        }
        Ok(0)
    }

    /// `None` if somebody else was first.
    async fn purge_batch(&self, before: Instant, now: Instant) -> Result<Option<usize>, AuditError> {
        let (present, oldest) = self
            .read(|tx, head| match head {
                Some(SealedAuditHead { head, .. }) => tx.list_sealed_audit_events(head.purged.seq, BATCH),
                None => Ok(Vec::new()),
            })
            .await?;
        let Some((head, kek_id)) = present else { return Ok(Some(0)) };
        let Some(next) = head.without_old(&oldest, before, now) else { return Ok(Some(0)) };
        let sealed = self.keks.seal_audit_head(next, &kek_id, &self.authority)?;
        let purged = self.store.write(move |tx| tx.purge_audit_events(head.version, &sealed)).await?;
        if purged.is_some() {
            self.remember(next);
        }
        Ok(purged)
    }

    /// Brings the head under the first key-encryption key.
    pub async fn rewrap(&self) -> Result<(), AuditError> {
        let first = self.keks.ids().swap_remove(0);
        while let Some((head, _)) = self.read(|_, _| Ok(())).await?.0.filter(|(_, kek_id)| *kek_id != first) {
            let next = AuditHead { version: head.version + 1, ..head };
            let next = self.keks.rewrap_audit_head(next, &self.authority);
            self.store.write(move |tx| tx.seal_audit_events(Some(head.version), &next, &[])).await?;
        }
        Ok(())
    }

    /// The head, proved, with the name of its key-encryption key, and what `more` reads in the same transaction.
    async fn read<T, F>(&self, more: F) -> Result<(Option<(AuditHead, KekId)>, T), AuditError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>, Option<&SealedAuditHead>) -> Result<T, StoreError> + Send + 'static,
    {
        // As of now: another reader may see a later head before this one is proved.
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (sealed, last, more) = self
            .store
            .read(|tx| {
                let sealed = tx.find_audit_head()?;
                let more = more(tx, sealed.as_ref())?;
                Ok((sealed, tx.find_last_audit_seq()?, more))
            })
            .await?;
        let head = self.prove(sealed.as_ref(), last)?;
        self.know(known, head)?;
        Ok((head.zip(sealed.map(|sealed| sealed.kek_id)), more))
    }

    fn prove(
        &self,
        sealed: Option<&SealedAuditHead>,
        last: Option<i64>,
    ) -> Result<Option<AuditHead>, AuditError> {
        match (sealed, last) {
            (None, None) => Ok(None),
            (None, Some(last)) => Err(AuditError::HeadMissing { last }),
            (Some(sealed), last) => {
                let head = self.keks.open_audit_head(sealed, &self.authority)?;
                match last.filter(|last| *last > head.last.seq) {
                    Some(found) => Err(AuditError::HeadSetBack { head: head.last.seq, found }),
                    None => Ok(Some(head)),
                }
            }
        }
    }

    /// What was true once and is no more is refused: what somebody wants to alter is otherwise sealed anew.
    fn know(&self, known: Option<AuditHead>, head: Option<AuditHead>) -> Result<(), AuditError> {
        let version = |head: Option<AuditHead>| head.map_or(0, |head| head.version);
        let is_another = version(head) == version(known) && head != known;
        if version(head) < version(known) || is_another {
            return Err(AuditError::WentBack { known: version(known), stored: version(head) });
        }
        if let Some(head) = head {
            self.remember(head);
        }
        Ok(())
    }

    fn remember(&self, head: AuditHead) {
        let mut latest = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_none_or(|latest| latest.version < head.version) {
            *latest = Some(head);
        }
    }
}

/// Gives new rows their places, for as long as the server runs. Never returns.
pub async fn seal_forever(app: web::Data<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        ticks.tick().await;
        let cause = app.audit.seal(app.clock.now()).await.err().map(|error| error.to_string());
        if let Some(cause) = cause.as_ref().filter(|_| cause != trouble) {
            tracing::error!(%cause, "the audit is not sealed; trying again");
        }
        trouble = cause;
    }
}
