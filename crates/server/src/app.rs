use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attesto_core::{Policy, ThrottleLimits};
use attesto_store::Store;

use crate::clock::Clock;
use crate::issuer::Issuer;
use crate::keys::{KeyKeeper, Keys};
use crate::password::Passwords;
use crate::proxies::TrustedProxies;

/// What every request can reach.
pub struct App {
    /// The `iss` of every token.
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    pub(crate) keeper: KeyKeeper,
    pub(crate) jwks_cache_control: String,
    pub(crate) issuer: Issuer,
    pub(crate) passwords: Passwords,
    pub(crate) policy: Policy,
    pub(crate) throttle: ThrottleLimits,
    pub(crate) proxies: TrustedProxies,
    pub(crate) clock: Clock,
    pub(crate) stopping: Stopping,
    /// Drawn at the start, to tell servers of one database apart.
    pub(crate) server_id: String,
}

impl App {
    /// Signs what was decided.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

/// Set once, when the server was asked to stop.
#[derive(Default)]
pub(crate) struct Stopping(AtomicBool);

impl Stopping {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
