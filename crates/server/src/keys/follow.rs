use std::time::{Duration, Instant};

use actix_web::web;
use attesto_core::{Guards, KeyRecord, KeyState, LEAD};
use tokio::time::{MissedTickBehavior, interval};

use super::keeper::KeyError;
use super::loaded::LoadedKeys;
use crate::app::App;

/// How often the store is asked whether its keys are still the ones that are loaded.
const EVERY: Duration = Duration::from_millis(250);

/// Confirms the keys of this server, and loads them anew when somebody changed them, for as long as the server runs.
/// Never returns.
pub async fn follow_keys(app: web::Data<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        ticks.tick().await;
        let cause = follow(&app).await.err().map(|error| error.to_string());
        if cause != trouble {
            tell(cause.as_deref());
            trouble = cause;
        }
    }
}

fn tell(cause: Option<&str>) {
    if let Some(cause) = cause {
        tracing::error!(cause, "the signing keys cannot be confirmed");
    } else {
        tracing::info!("the signing keys are confirmed again");
    }
}

async fn follow(app: &App) -> Result<(), KeyError> {
    let read_at = Instant::now();
    let table = app.store.read(|tx| tx.find_key_table()).await?;
    if table == *app.keys.loaded().keyring.table() {
        app.keys.confirm(read_at);
        return Ok(());
    }
    load(app, read_at).await
}

async fn load(app: &App, read_at: Instant) -> Result<(), KeyError> {
    let (keyring, facts) = app.keeper.read().await?;
    let keyring = keyring.layered(|signer| (app.keys.layer)(signer));
    let version = keyring.version();
    let guards = Guards { policy: app.keeper.policy(), facts: &facts };
    let loaded = LoadedKeys::new(keyring, &app.url, guards, &app.clock)
        .map_err(|cause| KeyError::Unusable(cause.to_string()))?;
    announce(app, &loaded).await?;
    app.keys.replace(loaded, read_at);
    tracing::info!(version, "the signing keys changed");
    Ok(())
}

/// What the new keys are about to sign is noted before they do, so that no request has to wait for it.
async fn announce(app: &App, loaded: &LoadedKeys) -> Result<(), KeyError> {
    let (now, lifetime) = (app.clock.now(), app.policy.access_lifetime);
    let table = loaded.keyring.table();
    let active = table.keys.iter().filter(|key| key.state == KeyState::Active);
    for KeyRecord { kid, .. } in active {
        app.keys.usage(kid).cover(&app.store, kid, now + lifetime, now + LEAD * lifetime).await?;
    }
    Ok(())
}
