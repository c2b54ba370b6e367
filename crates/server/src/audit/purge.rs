use attesto_core::{AuditHead, AuditPurge, ChainedEvent, Instant, KekId};

use super::{AuditChain, AuditError, BATCH};

/// Losing a race means that somebody else sealed a batch; a dozen in a row is no coincidence.
const ATTEMPTS: usize = 12;

impl AuditChain {
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
        let Some((head, kek_id)) = self.read(|_, _| Ok(())).await?.0 else { return Ok(Some(0)) };
        let Some(purge) = self.prove_oldest(head, AuditPurge::of(head, before, now, BATCH)).await? else {
            return Ok(None);
        };
        let Some(next) = purge.head() else { return Ok(Some(0)) };
        self.remove_up_to(next, head, &kek_id).await
    }

    /// Goes along the chain until it is known what may go; `None` if it has changed meanwhile.
    async fn prove_oldest(
        &self,
        head: AuditHead,
        mut purge: AuditPurge,
    ) -> Result<Option<AuditPurge>, AuditError> {
        loop {
            let Some(page) = self.page(head, purge.at().seq).await? else { return Ok(None) };
            if page.is_empty() {
                purge.end()?;
                return Ok(Some(purge));
            }
            if !purge.take(&page)? {
                return Ok(Some(purge));
            }
        }
    }

    /// The rows behind `after`, if `head` is still the head.
    async fn page(&self, head: AuditHead, after: i64) -> Result<Option<Vec<ChainedEvent>>, AuditError> {
        // One more than goes at once: it proves the one before it.
        let (present, page) = self.read(move |tx, _| tx.list_sealed_audit_events(after, BATCH + 1)).await?;
        Ok(present.filter(|(present, _)| *present == head).map(|_| page))
    }

    async fn remove_up_to(
        &self,
        next: AuditHead,
        head: AuditHead,
        kek_id: &KekId,
    ) -> Result<Option<usize>, AuditError> {
        let sealed = self.keks.seal_audit_head(next, kek_id, &self.authority)?;
        let purged = self.store.write(move |tx| tx.purge_audit_events(&head, &sealed)).await?;
        if purged.is_some() {
            self.remember(next);
        }
        Ok(purged)
    }
}
