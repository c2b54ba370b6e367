use std::time::{SystemTime, UNIX_EPOCH};

/// Where the wall-clock time comes from that a token's instants are compared with.
///
/// Any `Fn() -> i64` is a clock: `.clock(|| 1_700_000_000)`.
pub trait Clock: Send + Sync + 'static {
    /// Whole seconds since 1970 (`NumericDate`, RFC 7519 §2).
    fn unix_now(&self) -> i64;
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
