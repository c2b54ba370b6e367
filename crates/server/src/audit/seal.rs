use std::time::Duration;

use actix_web::web;
use attesto_core::{AuditHead, Instant};
use attesto_store::Changed;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{AuditChain, AuditError, BATCH, require_newer};
use crate::app::App;
use crate::trouble::Trouble;

/// How often rows get their place.
const EVERY: Duration = Duration::from_secs(10);

/// Transactions in a row: what a database of many years brings along is sealed bit by bit.
const BATCHES: usize = 40;

/// A server that stops does not wait longer for the newest rows to be sealed.
const AT_STOP: Duration = Duration::from_secs(3);

impl AuditChain {
    /// Gives rows that have none their places, and says how many; there may be more. Of several servers one does it.
    pub async fn seal(&self, now: Instant) -> Result<usize, AuditError> {
        let mut sealed = 0;
        for _ in 0..BATCHES {
            match self.seal_batch(now).await? {
                Some(0) => break,
                Some(count) => sealed += count,
                // Somebody else was first, and may have left some.
                None => {}
            }
        }
        Ok(sealed)
    }

    /// `None` if somebody else was first.
    async fn seal_batch(&self, now: Instant) -> Result<Option<usize>, AuditError> {
        let (present, (events, servers)) = self
            .read(|tx, head| {
                let servers = if head.is_none() { tx.list_servers()? } else { Vec::new() };
                Ok((tx.list_unsealed_audit_events(BATCH)?, servers))
            })
            .await?;
        if events.is_empty() {
            return Ok(Some(0));
        }
        require_newer(&servers, now)?;
        let head = present.as_ref().map_or_else(|| AuditHead::begin(now), |(head, _)| *head);
        let (links, next) = head.extend(&events, now);
        let next = match &present {
            Some((_, kek_id)) => self.keks.seal_audit_head(next, kek_id, &self.authority)?,
            None => self.keks.rewrap_audit_head(next, &self.authority),
        };
        let (from, count, head) = (present.map(|(head, _)| head.edition()), links.len(), next.head);
        match self.store.write(move |tx| tx.seal_audit_events(from, &next, &links)).await? {
            Changed::Yes => {
                self.remember(head);
                Ok(Some(count))
            }
            Changed::LostRace => Ok(None),
        }
    }

    /// Brings the head under the first key-encryption key.
    pub async fn rewrap(&self) -> Result<(), AuditError> {
        let first = self.keks.ids().swap_remove(0);
        while let Some((head, _)) = self.read(|_, _| Ok(())).await?.0.filter(|(_, kek_id)| *kek_id != first) {
            let next = AuditHead { version: head.version + 1, ..head };
            let next = self.keks.rewrap_audit_head(next, &self.authority);
            self.store.write(move |tx| tx.seal_audit_events(Some(head.edition()), &next, &[])).await?;
        }
        Ok(())
    }
}

/// Gives new rows their places, for as long as the server runs. Never returns.
pub async fn seal_forever(app: web::Data<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        ticks.tick().await;
        match trouble.news(app.audit.seal(app.clock.now()).await) {
            Some(AuditError::OlderServers { servers }) => {
                tracing::warn!(%servers, "the audit is sealed when no server older than 0.4.0 runs any more");
            }
            Some(cause) => tracing::error!(%cause, "the audit is not sealed; trying again"),
            None => {}
        }
    }
}

/// Seals what is left, as far as it goes in time; the next server does the rest.
pub async fn seal_before_stop(app: &App) {
    let sealed = timeout(AT_STOP, app.audit.seal(app.clock.now())).await;
    let cause = match sealed {
        Ok(Ok(_)) => return,
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    tracing::warn!(%cause, "the newest rows of the audit are not sealed; the next server does it");
}
