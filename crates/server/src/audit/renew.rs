use std::time::Duration;

use attesto_core::{AuditEvent, AuditHead};
use attesto_store::Renewed;

use super::{AuditChain, AuditError, BATCH, require_newer};

impl AuditChain {
    /// Begins another chain, in which servers give every row a place anew, as it stands now; `event` says why. Interrupted, it
    /// can be run again.
    pub async fn renew(&self, event: AuditEvent) -> Result<AuditHead, AuditError> {
        let head = self.give_up(event).await?;
        let sealed = self.keks.rewrap_audit_head(head, &self.authority);
        loop {
            let next = sealed.clone();
            match self.store.write(move |tx| tx.begin_audit_chain(&next, BATCH)).await? {
                Renewed::Yes => return Ok(head),
                Renewed::NotYet => {}
                Renewed::LostRace => return Err(AuditError::RenewedMeanwhile),
            }
        }
    }

    /// From here on until the other chain begins nothing is sealed. Gives the head of that.
    async fn give_up(&self, event: AuditEvent) -> Result<AuditHead, AuditError> {
        let now = event.at;
        let (sealed, servers) = self.store.read(|tx| Ok((tx.find_audit_head()?, tx.list_servers()?))).await?;
        require_newer(&servers, now)?;
        // By a clock that was ahead, if anybody proves that.
        let begun_at = sealed
            .and_then(|sealed| self.keks.open_audit_head(&sealed, &self.authority).ok())
            .map_or(now, |head| now.max(head.begun_at + Duration::from_millis(1)));
        let highest = self.store.write(move |tx| tx.give_up_audit_chain(&event)).await?;
        Ok(AuditHead::begin_behind(highest, begun_at))
    }
}
