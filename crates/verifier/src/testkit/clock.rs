use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// A clock that stands still unless it is moved: the verifiers' own.
#[derive(Clone)]
pub(super) struct StillClock(Arc<Time>);

struct Time {
    /// In seconds since 1970.
    start: i64,
    /// Since then, in nanoseconds.
    elapsed: AtomicU64,
    /// How many seconds the verifiers' wall clock is ahead of the issuer's.
    ahead: AtomicI64,
}

impl StillClock {
    /// Stands at the present.
    pub(super) fn new() -> Self {
        let start = SystemClock.unix_now();
        Self(Arc::new(Time { start, elapsed: AtomicU64::new(0), ahead: AtomicI64::new(0) }))
    }

    pub(super) fn move_to(&self, monotonic: Duration) {
        let nanoseconds = u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX);
        self.0.elapsed.store(nanoseconds, Ordering::SeqCst);
    }

    pub(super) fn set_ahead(&self, seconds: i64) {
        self.0.ahead.store(seconds, Ordering::SeqCst);
    }

    /// The issuer's time, in seconds since 1970.
    pub(super) fn issuer_now(&self) -> i64 {
        self.0.start.saturating_add_unsigned(self.monotonic().as_secs())
    }
}

impl Clock for StillClock {
    fn unix_now(&self) -> i64 {
        self.issuer_now().saturating_add(self.0.ahead.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.elapsed.load(Ordering::SeqCst))
    }
}
