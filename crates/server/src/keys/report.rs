use actix_web::web;
use attesto_core::{KeyUse, ServerReport};
use attesto_store::{StoreError, Write};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// Tells the store that this server runs, with which keys, and what it signed, for as long as it does. Never returns.
pub async fn report_keys(app: web::Data<App>) {
    let mut ticks = interval(ServerReport::INTERVAL / 8);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut reported, mut trouble) = (None, None);
    loop {
        ticks.tick().await;
        let report = report(&app);
        if !is_due(reported.as_ref(), &report) {
            continue;
        }
        let cause = write(&app, report.clone()).await.err().map(|error| error.to_string());
        match &cause {
            None => reported = Some(report),
            Some(cause) if trouble.as_ref() != Some(cause) => {
                tracing::warn!(%cause, "this server could not report itself; trying again");
            }
            Some(_) => {}
        }
        trouble = cause;
    }
}

/// Every two seconds, and at once when the keys changed: operators wait for it.
fn is_due(last: Option<&ServerReport>, next: &ServerReport) -> bool {
    last.is_none_or(|last| {
        last.key_version != next.key_version
            || next.seen_at.since(last.seen_at) >= ServerReport::INTERVAL
            || next.seen_at < last.seen_at
    })
}

fn report(app: &App) -> ServerReport {
    let loaded = app.keys.loaded();
    let table = loaded.keyring.table();
    ServerReport {
        id: app.server_id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kek_ids: app.keeper.keks().ids(),
        confirmed_kids: table.keys.iter().map(|key| key.kid.clone()).collect(),
        key_version: loaded.keyring.version(),
        seen_at: app.clock.now(),
        feed_seq: app.feed.seq(),
    }
}

async fn write(app: &App, report: ServerReport) -> Result<(), StoreError> {
    let signatures = app.keys.take_signatures();
    let noted = signatures.clone();
    let written = app
        .store
        .write(move |tx| {
            note(tx, &noted)?;
            tx.put_server(&report)
        })
        .await;
    if written.is_err() {
        app.keys.put_back(&signatures);
    }
    written
}

/// Tells the store that this server stops.
pub async fn sign_off(app: &App) -> Result<(), StoreError> {
    let (id, signatures) = (app.server_id.clone(), app.keys.take_signatures());
    app.store
        .write(move |tx| {
            note(tx, &signatures)?;
            tx.remove_server(&id)
        })
        .await
}

fn note(tx: &mut Write<'_>, signatures: &[(String, i64)]) -> Result<(), StoreError> {
    signatures.iter().try_for_each(|(kid, signatures)| {
        tx.raise_key_use(kid, &KeyUse { latest_exp: None, signatures: *signatures })
    })
}
