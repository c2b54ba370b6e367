use std::time::Duration;

use actix_web::web;
use attesto_core::{Actor, Guards, KeyTable};
use tokio::time::{MissedTickBehavior, interval};

use super::keeper::{KeyError, KeyKeeper};
use crate::app::App;
use crate::trouble::Trouble;

/// How often the timetable is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Stages, rotates, withdraws and erases keys when they are due, for as long as the server runs. Several servers may
/// try the same at once; the store lets one succeed. Never returns.
pub async fn schedule_keys(app: web::Data<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        ticks.tick().await;
        if let Some(cause) = trouble.news(run_due(&app.keeper).await) {
            tracing::error!(%cause, "the schedule of the signing keys is stuck; trying again");
        }
    }
}

/// Does what is due now, step by step.
pub async fn run_due(keeper: &KeyKeeper) -> Result<(), KeyError> {
    let due = |table: &KeyTable, guards: Guards<'_>, now| Ok(table.due(guards, now));
    while keeper.is_due().await? {
        let Some(change) = keeper.change(due, &Actor::Server, "schedule").await? else { return Ok(()) };
        for key in change.rows {
            tracing::info!(kid = key.kid, state = key.state.as_str(), "the schedule moved a signing key");
        }
    }
    Ok(())
}
