use std::sync::Arc;
use std::time::{self, Duration};

use actix_web::web;
use arc_swap::ArcSwapOption;
use attesto_core::{Instant, KeyFacts};
use attesto_store::StoreError;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::sleep;

use crate::app::App;
use crate::trouble::Trouble;

/// How often the database is asked for what it says at once.
const EVERY: Duration = Duration::from_secs(30);

/// A count of the sessions stands for this many times as long as it took, so that counting millions stays a small part of
/// what the database does.
const SHARE: u32 = 100;

/// What has to be asked of the database, and is not asked when somebody reads the metrics. Each part stands for itself:
/// what takes too long takes nothing else along.
#[derive(Default)]
pub struct Sampled {
    facts: ArcSwapOption<KeyFacts>,
    unsealed: ArcSwapOption<Duration>,
    sessions: ArcSwapOption<i64>,
}

impl Sampled {
    /// What the guards of keys go by, as it was read last.
    pub fn facts(&self) -> Option<Arc<KeyFacts>> {
        self.facts.load_full()
    }

    /// Shows the rest.
    pub fn register(&self, registry: &mut Registry) {
        if let Some(unsealed) = self.unsealed.load_full() {
            let age = ConstGauge::new(unsealed.as_secs_f64());
            let help = "Since the oldest row of the audit was written that has no place in the chain; 0 if none waits";
            registry.register_with_unit("audit_unsealed", help, Unit::Seconds, age);
        }
        if let Some(sessions) = self.sessions.load_full() {
            let help = "Sessions that live, in the whole database, as they were counted last";
            registry.register("sessions", help, ConstGauge::new(*sessions));
        }
    }
}

/// Takes samples for as long as the server runs. Never returns.
pub async fn take_samples(app: web::Data<App>) {
    let (mut reading, mut counting) = (Trouble::default(), Trouble::default());
    let mut count_at = time::Instant::now();
    loop {
        if let Some(cause) = reading.news(read(&app).await) {
            tracing::warn!(%cause, "the metrics keep what the database said last; trying again");
        }
        if count_at <= time::Instant::now() {
            let begun = time::Instant::now();
            if let Some(cause) = counting.news(count(&app).await) {
                tracing::warn!(%cause, "the sessions cannot be counted; trying again later");
            }
            count_at = time::Instant::now() + SHARE * begun.elapsed();
        }
        sleep(EVERY).await;
    }
}

/// Asks the database once for everything.
pub async fn sample(app: &App) -> Result<(), StoreError> {
    let (read, counted) = (read(app).await, count(app).await);
    read.and(counted)
}

/// What few rows say.
async fn read(app: &App) -> Result<(), StoreError> {
    let facts = app.store.read(|tx| tx.find_key_facts()).await?;
    app.sampled.facts.store(Some(Arc::new(facts)));
    let unsealed = app.store.read(|tx| tx.list_unsealed_audit_events(1)).await?;
    let age =
        unsealed.first().map_or(Duration::ZERO, |row| app.clock.now().since(Instant::from_millis(row.at)));
    app.sampled.unsealed.store(Some(Arc::new(age)));
    Ok(())
}

/// What every session has to be looked at for. A number of long ago would be taken for one of now.
async fn count(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let counted = app.store.read(move |tx| tx.count_living_sessions(now)).await;
    app.sampled.sessions.store(counted.as_ref().ok().copied().map(Arc::new));
    counted.map(drop)
}
