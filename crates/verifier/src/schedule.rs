use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// The shortest time between two fetches that unknown keys cause: anybody can make up a `kid`.
const UNKNOWN_KID_GAP: Duration = Duration::from_secs(10);

/// When the JWK Set is fetched next. It reads no clock and draws no lots: both come in as values.
pub(crate) struct Schedule {
    refresh_interval: Duration,
    due: Instant,
    /// From when on an unknown key may cause a fetch again. Counted on attempts, or an issuer that is down would be
    /// asked without limit.
    unknown_kid_from: Instant,
    failures: u32,
}

impl Schedule {
    /// The first fetch is due at once.
    pub(crate) fn new(refresh_interval: Duration, now: Instant) -> Self {
        Self { refresh_interval, due: now, unknown_kid_from: now, failures: 0 }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// A token named a key that is not in the set. The fetch may have to wait for the gap, but is not forgotten:
    /// forged tokens cannot hide a true rotation for longer than that.
    pub(crate) fn unknown_kid(&mut self, now: Instant) {
        let at = self.unknown_kid_from.max(now);
        if at < self.due {
            self.due = at;
            self.unknown_kid_from = at + UNKNOWN_KID_GAP;
        }
    }

    pub(crate) fn succeeded(&mut self, now: Instant, lot: f64) {
        self.failures = 0;
        self.due = now + spread(self.refresh_interval, lot);
    }

    pub(crate) fn failed(&mut self, now: Instant, lot: f64) {
        let retry = FIRST_RETRY.saturating_mul(2u32.saturating_pow(self.failures)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.due = now + spread(retry, lot);
    }
}

/// Between 80 % and 100 % of the duration, by a lot between 0 and 1: a tenth ahead and a tenth of jitter to both
/// sides, so that it never takes longer and a fleet does not ask all at once.
fn spread(duration: Duration, lot: f64) -> Duration {
    duration.mul_f64(0.8 + 0.2 * lot)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(600);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_set_is_refreshed_ahead_of_the_interval() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start);
        assert_eq!(schedule.due(), start);
        for (lot, wait) in [(0.0, 480_000), (0.5, 540_000), (1.0, 600_000)] {
            schedule.succeeded(start, lot);
            assert_eq!((schedule.due() - start).as_millis(), wait);
        }
    }

    #[test]
    fn failures_back_off_until_a_success() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            schedule.failed(start, 1.0);
            assert_eq!(schedule.due(), start + secs(wait));
        }
        for _ in 0..100 {
            schedule.failed(start, 1.0);
        }
        assert_eq!(schedule.due(), start + secs(60));
        schedule.succeeded(start, 1.0);
        assert_eq!(schedule.due(), start + INTERVAL);
        schedule.failed(start, 1.0);
        assert_eq!(schedule.due(), start + secs(1));
    }

    /// Ten thousand forged tokens in a minute, whether the issuer answers or not.
    #[test]
    fn unknown_kids_cause_one_fetch_in_ten_seconds() {
        for answers in [true, false] {
            let start = Instant::now();
            let mut schedule = Schedule::new(INTERVAL, start);
            schedule.succeeded(start, 1.0);
            let mut fetches = 0;
            for forged in 0..10_000 {
                let now = start + Duration::from_millis(6 * forged);
                schedule.unknown_kid(now);
                if schedule.due() <= now {
                    fetches += 1;
                    // Keeps the back-off out of the count.
                    if answers { schedule.succeeded(now, 1.0) } else { schedule.due = now + INTERVAL }
                }
            }
            assert_eq!(fetches, 6);
        }
    }

    #[test]
    fn an_unknown_kid_within_the_gap_is_not_forgotten() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start);
        schedule.succeeded(start, 1.0);
        schedule.unknown_kid(start + secs(1));
        assert_eq!(schedule.due(), start + secs(1), "the first one is free");
        schedule.succeeded(start + secs(2), 1.0);
        schedule.unknown_kid(start + secs(3));
        assert_eq!(schedule.due(), start + secs(11));
        schedule.unknown_kid(start + secs(4));
        assert_eq!(schedule.due(), start + secs(11), "more of them change nothing");
    }
}
