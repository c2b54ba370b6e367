use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant as Monotonic};

use attesto_core::Instant;

/// More than this between two comparisons, and nobody knows what time it is.
const TOLERANCE: Duration = Duration::from_secs(1);

/// An answer that took longer leaves two servers too far apart.
const LONGEST_QUESTION: Duration = Duration::from_millis(500);

/// The time of a database, counted on by the monotonic clock of this machine: nobody sets that.
pub(super) struct DatabaseTime {
    since: Monotonic,
    /// What the database's clock showed at `since`, in milliseconds since 1970.
    began_at: AtomicI64,
    is_steady: AtomicBool,
}

impl DatabaseTime {
    /// Not steady before it agreed with the database once.
    pub(super) fn start(estimate: Instant) -> Self {
        Self {
            since: Monotonic::now(),
            began_at: AtomicI64::new(estimate.as_millis()),
            is_steady: AtomicBool::new(false),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.at(self.elapsed())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn is_steady(&self) -> bool {
        self.is_steady.load(Ordering::Relaxed)
    }

    /// The database said `now` at some time between the two. The time moves no further than that proves it wrong: it
    /// would otherwise go to and fro with how long each answer took.
    pub(super) fn correct(&self, now: Instant, asked_at: Duration, answered_at: Duration) {
        if answered_at.saturating_sub(asked_at) > LONGEST_QUESTION {
            return;
        }
        let began_at = self.began_at.load(Ordering::Relaxed);
        let corrected = began_at.clamp((now - answered_at).as_millis(), (now - asked_at).as_millis());
        let off_by = corrected.abs_diff(began_at);
        let is_steady = Duration::from_millis(off_by) <= TOLERANCE;
        if self.is_steady.swap(is_steady, Ordering::Relaxed) && !is_steady {
            tracing::warn!(off_by_ms = off_by, "the clock of the database jumped");
        }
        self.began_at.store(corrected, Ordering::Relaxed);
    }

    fn at(&self, elapsed: Duration) -> Instant {
        Instant::from_millis(self.began_at.load(Ordering::Relaxed)) + elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Instant = Instant::from_millis(1_700_000_000_000);

    fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn it_shows_what_the_database_shows_and_is_steady_if_that_is_no_surprise() {
        let time = DatabaseTime::start(BEGIN);
        assert!(!time.is_steady());
        for (database, steady) in [
            (millis(60_000), false),
            (millis(60_400), true),
            (millis(61_400), true),
            (millis(62_401), false),
            (millis(62_401), true),
            (millis(61_000), false),
        ] {
            time.correct(BEGIN + database + millis(150), millis(150), millis(150));
            assert_eq!(time.is_steady(), steady, "{database:?}");
            assert_eq!(time.at(millis(500)), BEGIN + database + millis(500));
        }
    }

    #[test]
    fn an_answer_that_was_waited_for_moves_nothing_that_it_does_not_prove_wrong() {
        let time = DatabaseTime::start(BEGIN);
        for (said, shown) in [(200, 0), (599, 0), (100, 0), (700, 100), (150, 50)] {
            time.correct(BEGIN + millis(said), millis(100), millis(600));
            assert_eq!(time.at(millis(0)), BEGIN + millis(shown), "{said}");
        }
    }

    #[test]
    fn an_answer_that_took_long_is_none() {
        let time = DatabaseTime::start(BEGIN);
        time.correct(BEGIN, millis(0), millis(0));
        time.correct(BEGIN + millis(9000), millis(0), millis(501));
        assert!(time.is_steady());
        assert_eq!(time.at(millis(7)), BEGIN + millis(7));
    }
}
