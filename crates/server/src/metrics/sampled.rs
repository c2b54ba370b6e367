use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;
use arc_swap::ArcSwapOption;
use attesto_core::KeyFacts;
use attesto_store::StoreError;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::time::sleep;

use crate::app::App;

/// How long a sample stands at least.
const EVERY: Duration = Duration::from_secs(30);

/// A sample stands for this many times as long as it took, so that counting millions of sessions stays a small part of
/// what the database does.
const SHARE: u32 = 100;

/// What has to be asked of the database, and is not asked when somebody reads the metrics.
#[derive(Default)]
pub struct Sampled(ArcSwapOption<Sample>);

/// What the database said last.
pub struct Sample {
    sessions: i64,
    /// What the guards of keys go by.
    pub facts: KeyFacts,
}

impl Sampled {
    /// The last one, if there was one.
    pub fn last(&self) -> Option<Arc<Sample>> {
        self.0.load_full()
    }

    /// Shows it.
    pub fn register(&self, registry: &mut Registry) {
        if let Some(sample) = self.last() {
            let help = "Sessions that live, in the whole database, as they were counted last";
            registry.register("sessions", help, ConstGauge::new(sample.sessions));
        }
    }
}

/// Takes samples for as long as the server runs. Never returns.
pub async fn take_samples(app: web::Data<App>) {
    loop {
        let begun = Instant::now();
        if let Err(cause) = sample(&app).await {
            tracing::debug!(%cause, "the metrics keep their last sample");
        }
        sleep(EVERY.max(SHARE * begun.elapsed())).await;
    }
}

/// Asks the database once.
pub async fn sample(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let sample = app
        .store
        .read(move |tx| Ok(Sample { sessions: tx.count_living_sessions(now)?, facts: tx.find_key_facts()? }));
    app.sampled.0.store(Some(Arc::new(sample.await?)));
    Ok(())
}
