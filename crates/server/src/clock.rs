use std::sync::Arc;
use std::time::SystemTime;

use attesto_core::Instant;

/// Where `now` comes from. Read once per request and handed down.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(system_now)
    }

    /// Any other source of instants.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

impl attesto_verifier::Clock for Clock {
    fn unix_now(&self) -> i64 {
        self.now().seconds()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the authority that reads the time")]
fn system_now() -> Instant {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instant::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
