//! The keys that the server signs with: loaded, followed as others change them, and changed by schedule.

mod follow;
mod keeper;
mod loaded;
mod report;
mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use attesto_keyring::Signer;

pub use follow::follow_keys;
pub use keeper::{KeyError, KeyKeeper};
pub use loaded::{LoadedKeys, Usage, WrittenJwkSet};
pub use report::{report_keys, sign_off};
pub use schedule::{run_due, schedule_keys};

use crate::unavailable::Unavailable;

/// What stands between a private key and those who sign with it.
pub type SignerLayer = Arc<dyn Fn(Arc<dyn Signer>) -> Arc<dyn Signer> + Send + Sync>;

/// The keys of this server, replaced as a whole when they change in the store.
pub struct Keys {
    loaded: ArcSwap<LoadedKeys>,
    /// Monotonic, so that a clock that is set back does not keep old keys signing.
    confirmed_at: Mutex<Instant>,
    /// Without a confirmation for this long, nothing is signed.
    confirmation_interval: Duration,
    /// Of every key that this server ever signed with, by `kid`: counts outlive the keys' replacement.
    usages: Mutex<HashMap<String, Arc<Usage>>>,
    layer: SignerLayer,
}

impl Keys {
    /// Keys that were read at `read_at`.
    pub(crate) fn new(
        loaded: LoadedKeys,
        read_at: Instant,
        confirmation_interval: Duration,
        layer: SignerLayer,
    ) -> Self {
        Self {
            loaded: ArcSwap::from_pointee(loaded),
            confirmed_at: Mutex::new(read_at),
            confirmation_interval,
            usages: Mutex::default(),
            layer,
        }
    }

    /// The present keys: for checking, and for telling the world.
    pub fn loaded(&self) -> Arc<LoadedKeys> {
        self.loaded.load_full()
    }

    /// The present keys, for signing: only while they are known to be the store's.
    pub fn confirmed(&self) -> Result<Arc<LoadedKeys>, Unavailable> {
        // Loaded after the question: whatever comes is at least as new as what was confirmed.
        if self.lock_confirmed_at().elapsed() > self.confirmation_interval {
            return Err(Unavailable::KeysUnconfirmed);
        }
        Ok(self.loaded())
    }

    /// What this server knows of a key's use.
    pub fn usage(&self, kid: &str) -> Arc<Usage> {
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(usages.entry(kid.to_owned()).or_default())
    }

    /// The signatures since this was asked last, by `kid`.
    fn take_signatures(&self) -> Vec<(String, i64)> {
        let usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = usages.iter().map(|(kid, usage)| (kid.clone(), usage.take_signatures()));
        taken.filter(|(_, count)| *count > 0).collect()
    }

    /// They could not be noted, and are to be asked for again.
    fn put_back(&self, signatures: &[(String, i64)]) {
        for (kid, count) in signatures {
            self.usage(kid).count(*count);
        }
    }

    /// The store still said the same at `read_at`.
    fn confirm(&self, read_at: Instant) {
        *self.lock_confirmed_at() = read_at;
    }

    fn replace(&self, loaded: LoadedKeys, read_at: Instant) {
        self.loaded.store(Arc::new(loaded));
        self.confirm(read_at);
    }

    fn lock_confirmed_at(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
