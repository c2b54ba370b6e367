use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
///
/// Any `Fn() -> i64` is a clock: `.clock(|| 1_700_000_000)`.
pub trait Clock: Send + Sync + 'static {
    /// Whole seconds since 1970 (`NumericDate`, RFC 7519 §2): what a token's instants are compared with.
    fn unix_now(&self) -> i64;

    /// The time since some instant, by a clock that nobody sets: how old keys and revocations are. The operating
    /// system's, unless told.
    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn unix_now(&self) -> i64 {
        self()
    }
}

/// The clock of the operating system.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix_now(&self) -> i64 {
        // A clock before 1970 makes every token one of the future, which is refused.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
    }
}

/// An instant of the monotonic clock; possibly before its beginning, for what a state file remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) fn new(monotonic: Duration, ago: Duration) -> Self {
        Self(nanoseconds(monotonic).saturating_sub(nanoseconds(ago)))
    }

    pub(crate) fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    pub(crate) fn nanoseconds(self) -> i64 {
        self.0
    }

    pub(crate) fn age(self, monotonic: Duration) -> Duration {
        Duration::from_nanos(nanoseconds(monotonic).saturating_sub(self.0).max(0).cast_unsigned())
    }
}

/// Three centuries fit.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
