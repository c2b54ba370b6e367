use std::time::Duration;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// A shorter `max-age` is no reason to ask more often.
const SHORTEST_MAX_AGE: Duration = Duration::from_secs(30);

/// When the JWK Set is fetched next. It reads no clock and draws no lots: both come in as values.
pub(crate) struct Schedule {
    refresh_interval: Duration,
    /// The shortest time between two fetches that unknown keys cause: anybody can make up a `kid`.
    unknown_kid_gap: Duration,
    due: Duration,
    /// From when on an unknown key may cause a fetch again. Counted on attempts, or an issuer that is down would be
    /// asked without limit.
    unknown_kid_from: Duration,
    failures: u32,
}

impl Schedule {
    /// The first fetch is due at once.
    pub(crate) fn new(refresh_interval: Duration, unknown_kid_gap: Duration, now: Duration) -> Self {
        Self { refresh_interval, unknown_kid_gap, due: now, unknown_kid_from: now, failures: 0 }
    }

    pub(crate) fn due(&self) -> Duration {
        self.due
    }

    pub(crate) fn unknown_kid_from(&self) -> Duration {
        self.unknown_kid_from
    }

    /// The program asks for a fetch.
    pub(crate) fn now(&mut self, now: Duration) {
        self.due = self.due.min(now);
    }

    /// A token named a key that is not in the set. The fetch may have to wait for the gap, but is not forgotten:
    /// forged tokens cannot hide a true rotation for longer than that.
    pub(crate) fn unknown_kid(&mut self, now: Duration) {
        let at = self.unknown_kid_from.max(now);
        if at < self.due {
            self.due = at;
            self.unknown_kid_from = at + self.unknown_kid_gap;
        }
    }

    /// `max_age` is what the answer says of itself (RFC 9111 §5.2.2.1): it can only make the interval shorter.
    pub(crate) fn succeeded(&mut self, now: Duration, max_age: Option<Duration>, lot: f64) {
        self.failures = 0;
        let interval =
            max_age.map_or(self.refresh_interval, |age| self.refresh_interval.min(age.max(SHORTEST_MAX_AGE)));
        self.due = now + spread(interval, lot);
    }

    pub(crate) fn failed(&mut self, now: Duration, lot: f64) {
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

    const INTERVAL: Duration = secs(600);
    const GAP: Duration = secs(10);

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_set_is_refreshed_ahead_of_the_interval() {
        let start = secs(1_000);
        let mut schedule = Schedule::new(INTERVAL, GAP, start);
        assert_eq!(schedule.due(), start);
        for (lot, wait) in [(0.0, 480_000), (0.5, 540_000), (1.0, 600_000)] {
            schedule.succeeded(start, None, lot);
            assert_eq!(schedule.due().saturating_sub(start).as_millis(), wait);
        }
    }

    #[test]
    fn failures_back_off_until_a_success() {
        let start = secs(1_000);
        let mut schedule = Schedule::new(INTERVAL, GAP, start);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            schedule.failed(start, 1.0);
            assert_eq!(schedule.due(), start + secs(wait));
        }
        for _ in 0..100 {
            schedule.failed(start, 1.0);
        }
        assert_eq!(schedule.due(), start + secs(60));
        schedule.succeeded(start, None, 1.0);
        assert_eq!(schedule.due(), start + INTERVAL);
        schedule.failed(start, 1.0);
        assert_eq!(schedule.due(), start + secs(1));
    }

    /// Ten thousand forged tokens in a minute, whether the issuer answers or not.
    #[test]
    fn unknown_kids_cause_one_fetch_in_ten_seconds() {
        for answers in [true, false] {
            let start = secs(1_000);
            let mut schedule = Schedule::new(INTERVAL, GAP, start);
            schedule.succeeded(start, None, 1.0);
            let mut fetches = 0;
            for forged in 0..10_000 {
                let now = start + Duration::from_millis(6 * forged);
                schedule.unknown_kid(now);
                if schedule.due() <= now {
                    fetches += 1;
                    // Keeps the back-off out of the count.
                    if answers { schedule.succeeded(now, None, 1.0) } else { schedule.due = now + INTERVAL }
                }
            }
            assert_eq!(fetches, 6);
        }
    }

    #[test]
    fn an_unknown_kid_within_the_gap_is_not_forgotten() {
        let start = secs(1_000);
        let mut schedule = Schedule::new(INTERVAL, GAP, start);
        schedule.succeeded(start, None, 1.0);
        schedule.unknown_kid(start + secs(1));
        assert_eq!(schedule.due(), start + secs(1), "the first one is free");
        schedule.succeeded(start + secs(2), None, 1.0);
        schedule.unknown_kid(start + secs(3));
        assert_eq!(schedule.due(), start + secs(11));
        schedule.unknown_kid(start + secs(4));
        assert_eq!(schedule.due(), start + secs(11), "more of them change nothing");
    }

    #[test]
    fn an_answer_may_ask_for_shorter_intervals() {
        let start = secs(1_000);
        let mut schedule = Schedule::new(INTERVAL, GAP, start);
        for (max_age, wait) in [(0, 30), (29, 30), (31, 31), (599, 599), (601, 600), (u64::MAX, 600)] {
            schedule.succeeded(start, Some(secs(max_age)), 1.0);
            assert_eq!(schedule.due(), start + secs(wait), "{max_age}");
        }
    }

    /// Six hours without an issuer: the last good answer, then one attempt a minute at most, and no storm afterwards.
    #[test]
    fn an_outage_of_hours_causes_no_storm() {
        let start = secs(1_000);
        let mut schedule = Schedule::new(INTERVAL, GAP, start);
        schedule.succeeded(start, None, 1.0);
        let mut fetches = Vec::new();
        for now in (0..6 * 3_600).map(|second| start + INTERVAL + secs(second)) {
            if schedule.due() <= now {
                fetches.push(now);
                schedule.failed(now, 1.0);
            }
        }
        assert!((360..=366).contains(&fetches.len()), "{}", fetches.len());
        let back = schedule.due();
        schedule.succeeded(back, None, 1.0);
        assert_eq!(schedule.due(), back + INTERVAL);
    }
}
