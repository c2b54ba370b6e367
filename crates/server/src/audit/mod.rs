//! The chain of the audit: every row gets a place in it, soon after it was written.

mod error;
mod purge;
mod renew;
mod seal;

use std::sync::{Arc, Mutex, PoisonError};

use attesto_core::{AuditHead, AuthorityId, Digest, Instant, KekId, SealedAuditHead, ServerReport};
use attesto_keyring::KeyEncryptionKeys;
use attesto_store::{Read, Store, StoreError};

pub use error::AuditError;
pub use seal::{seal_before_stop, seal_forever};

/// Rows per transaction: short enough that no request notices.
const BATCH: i64 = 500;

/// The chain of one database. Cheap to clone; all clones remember the same head.
#[derive(Clone)]
pub struct AuditChain {
    store: Store,
    keks: Arc<KeyEncryptionKeys>,
    authority: AuthorityId,
    /// The latest head that has proved to be genuine: one from before it was put back.
    known: Arc<Mutex<Option<AuditHead>>>,
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

    /// The same, and how many rows claimed a place at that moment.
    pub async fn head_and_count(&self) -> Result<(Option<AuditHead>, i64), AuditError> {
        let (head, count) = self.read(|tx, _| tx.count_sealed_audit_events()).await?;
        Ok((head.map(|(head, _)| head), count))
    }

    /// The head, proved, with the name of its key-encryption key, and what `more` reads in the same transaction.
    async fn read<T, F>(&self, more: F) -> Result<(Option<(AuditHead, KekId)>, T), AuditError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>, Option<&SealedAuditHead>) -> Result<T, StoreError> + Send + 'static,
    {
        // As of now: another reader may see a later head before this one is proved.
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (sealed, last, hash, more) = self
            .store
            .read(move |tx| {
                let sealed = tx.find_audit_head()?;
                let more = more(tx, sealed.as_ref())?;
                let hash = known.map(|known| tx.find_audit_hash(known.last.seq)).transpose()?;
                Ok((sealed, tx.find_last_audit_seq()?, hash.flatten(), more))
            })
            .await?;
        let head = self.prove(sealed.as_ref(), last)?;
        if let Some(known) = known {
            require_successor(known, head, hash)?;
        }
        if let Some(head) = head {
            self.remember(head);
        }
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

    fn remember(&self, head: AuditHead) {
        let mut latest = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_none_or(|latest| latest.edition() < head.edition()) {
            *latest = Some(head);
        }
    }
}

/// What was true once and is no more is refused: what somebody wants to alter is otherwise sealed anew. A chain that began
/// later is another one, which a holder of the key-encryption key began. `hash` stands where the known one ended.
fn require_successor(
    known: AuditHead,
    head: Option<AuditHead>,
    hash: Option<Digest>,
) -> Result<(), AuditError> {
    let Some(head) = head.filter(|head| *head == known || head.edition() > known.edition()) else {
        return Err(AuditError::WentBack { known: known.edition(), stored: head.map(|head| head.edition()) });
    };
    if head.begun_at == known.begun_at && !head.keeps(known.last, hash) {
        return Err(AuditError::Replaced { seq: known.last.seq });
    }
    Ok(())
}

/// Programs that know nothing of the chain break it: they remove old rows by their age alone.
fn require_newer(servers: &[ServerReport], now: Instant) -> Result<(), AuditError> {
    let older = servers.iter().filter(|server| server.is_live(now) && !server.knows_audit_chain());
    let older: Vec<_> = older.map(|server| format!("{} ({})", server.id, server.version)).collect();
    if older.is_empty() { Ok(()) } else { Err(AuditError::OlderServers { servers: older.join(", ") }) }
}
