use std::time::Duration;

use actix_web::rt;
use actix_web::web;
use attesto_core::Instant;
use attesto_store::{Store, StoreError, Write};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::app::App;
use crate::audit::{AuditChain, AuditError, seal_forever};
use crate::feed::follow_feed;
use crate::keys::{follow_keys, report_keys, schedule_keys};
use crate::metrics::take_samples;
use crate::tls::follow_certificate;
use crate::trouble::Trouble;

/// Expired rows that are removed in one transaction. They lie far apart, and whoever writes meanwhile waits for all of them.
pub const PURGE_BATCH: i64 = 50;

/// After a batch the others have so many times as long as it took.
const REST: u32 = 4;

/// The clock may have been ahead by this much, and no session is gone that somebody may want to end.
const SESSION_LAG: Duration = Duration::from_secs(24 * 60 * 60);

/// The same for what refuses tokens. Shorter: of ends there may be many, and none shall be left an hour after it counts.
const RECORD_LAG: Duration = Duration::from_secs(30 * 60);

/// How often expired rows are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// How often the clock is compared with that of the database.
const COMPARED_EVERY: Duration = Duration::from_secs(2);

/// What the server does by itself.
pub struct Jobs(Vec<JoinHandle<()>>);

impl Jobs {
    /// Starts them all.
    pub fn start(app: &web::Data<App>, audit_lifetime: Duration) -> Self {
        Self(vec![
            rt::spawn(purge_forever(app.clone(), audit_lifetime)),
            rt::spawn(follow_clock(app.clone())),
            rt::spawn(follow_keys(app.clone())),
            rt::spawn(follow_feed(app.clone())),
            rt::spawn(report_keys(app.clone())),
            rt::spawn(schedule_keys(app.clone())),
            rt::spawn(take_samples(app.clone())),
            rt::spawn(follow_certificate(app.clone())),
            rt::spawn(seal_forever(app.clone())),
        ])
    }

    /// Stops them all.
    pub fn stop(self) {
        for job in self.0 {
            job.abort();
        }
    }
}

/// Keeps to the time of the database. Never returns.
async fn follow_clock(app: web::Data<App>) {
    let mut ticks = interval(COMPARED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A database that is away is noticed by everybody else; the monotonic clock goes on meanwhile.
        let _ = app.clock.compare(&app.store).await;
    }
}

/// Removes what has expired, for as long as the server runs. Never returns.
async fn purge_forever(app: web::Data<App>, audit_lifetime: Duration) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        ticks.tick().await;
        match trouble.news(purge(&app.store, &app.audit, app.clock.now(), audit_lifetime).await) {
            Some(AuditError::Store(cause)) => {
                tracing::warn!(%cause, "expired rows could not be removed; trying again later");
            }
            Some(AuditError::OlderServers { .. }) | None => {}
            Some(cause) => tracing::error!(%cause, "old rows of the audit are not removed; trying again"),
        }
    }
}

/// Removes everything that has expired by `now`, in batches; sessions and records a while later. An audit row is sealed
/// before it goes.
pub async fn purge(
    store: &Store,
    audit: &AuditChain,
    now: Instant,
    audit_lifetime: Duration,
) -> Result<(), AuditError> {
    in_batches(store, move |tx| tx.purge_sessions(now - SESSION_LAG, PURGE_BATCH)).await?;
    in_batches(store, move |tx| tx.purge_throttles(now, PURGE_BATCH)).await?;
    in_batches(store, move |tx| tx.purge_revocations(now - RECORD_LAG, PURGE_BATCH)).await?;
    audit.seal(now).await?;
    with_rests(async || audit.purge(now - audit_lifetime, now).await).await
}

async fn in_batches<F>(store: &Store, batch: F) -> Result<(), StoreError>
where
    F: Fn(&mut Write<'_>) -> Result<usize, StoreError> + Copy + Send + 'static,
{
    with_rests(async || store.write(batch).await).await
}

/// Runs batch after batch until one finds nothing. Between two of them others have their turn, four times as long as a batch
/// took. Fails with what a batch fails with.
pub async fn with_rests<E>(batch: impl AsyncFn() -> Result<usize, E>) -> Result<(), E> {
    loop {
        let begun = std::time::Instant::now();
        if batch().await? == 0 {
            return Ok(());
        }
        sleep(REST * begun.elapsed()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn between_two_batches_others_have_their_turn() {
        const TOOK: Duration = Duration::from_millis(10);
        let left = Cell::new(3);
        let begun = std::time::Instant::now();
        let purged = with_rests(async || {
            sleep(TOOK).await;
            left.set(left.get() - 1);
            Ok::<_, Infallible>(left.get())
        });
        purged.await.unwrap();
        assert_eq!(left.get(), 0);
        assert!(begun.elapsed() >= 3 * TOOK + 2 * REST * TOOK, "{:?}", begun.elapsed());
    }
}
