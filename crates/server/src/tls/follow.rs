use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::expiry::Expiry;
use super::{Tls, TlsError};
use crate::app::App;
use crate::trouble::Trouble;

/// How often the files are looked at. They are small, and what they hold is compared: whoever replaces them may keep their
/// times, or put a link in their place.
const EVERY: Duration = Duration::from_secs(2);

/// Shows clients what the files hold, for as long as the server runs. Never returns.
pub async fn follow_certificate(app: web::Data<App>) {
    let Some(tls) = app.tls.clone() else { return };
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut trouble, mut told) = (Trouble::default(), (0, Expiry::Far));
    loop {
        ticks.tick().await;
        if let Some(cause) = trouble.news(refresh(&tls).await) {
            tracing::warn!(%cause, "the new certificate cannot be used, and the old one stays; trying again");
        }
        let shown = (tls.not_after(), Expiry::at(app.clock.now(), tls.not_after()));
        if shown != told {
            tell(shown);
        }
        told = shown;
    }
}

fn tell((not_after, expiry): (u64, Expiry)) {
    match expiry {
        Expiry::Far => {}
        Expiry::Near => tracing::warn!(not_after, "the certificate expires within two days"),
        Expiry::Past => tracing::error!(not_after, "the certificate has expired, and clients refuse it"),
    }
}

async fn refresh(tls: &Arc<Tls>) -> Result<(), TlsError> {
    let refreshing = Arc::clone(tls);
    let is_new = spawn_blocking(move || refreshing.refresh()).await;
    if is_new.map_err(|cause| TlsError::Unusable(cause.to_string()))?? {
        tracing::info!(not_after = tls.not_after(), "the certificate was replaced");
    }
    Ok(())
}
