use std::time::Duration;

use crate::instant::Instant;

/// How many failed sign-ins are free before each further one has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Per user.
    pub user_failures: u32,
    /// Per address.
    pub address_failures: u32,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self { user_failures: 10, address_failures: 100 }
    }
}

/// The failed sign-ins of one user or one address. An attempt counts as failed from before its password is hashed
/// until it has succeeded, so that parallel guesses cannot overtake the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failed, or not yet known to have succeeded.
    pub failures: u32,
    /// Until when the next attempt has to wait.
    pub blocked_until: Option<Instant>,
}

/// The attempt is not looked at before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// When the next attempt is looked at.
    pub until: Instant,
}

impl Attempts {
    const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

    /// A counter is forgotten when nothing was added to it for this long.
    pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

    /// Counts an attempt before it is made. From the last free one on, the next has to wait: 1 s, doubling to 15 min.
    pub fn reserve(self, free: u32, now: Instant) -> Result<Self, Blocked> {
        if let Some(until) = self.blocked_until.filter(|until| now < *until) {
            return Err(Blocked { until });
        }
        let failures = self.failures.saturating_add(1);
        let blocked_until = failures.checked_sub(free).map(|over| now + wait(over));
        Ok(Self { failures, blocked_until })
    }

    /// Takes back an attempt that turned out not to be a failure, and the wait that its own reservation imposed.
    pub fn refund(self, reserved: Self) -> Self {
        Self {
            failures: self.failures.saturating_sub(1),
            blocked_until: self.blocked_until.filter(|until| Some(*until) != reserved.blocked_until),
        }
    }
}

fn wait(over: u32) -> Duration {
    Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(over)).min(Attempts::LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_seconds(1_000);

    #[test]
    fn the_free_attempts_pass_at_once_and_no_more() {
        let mut attempts = Attempts::default();
        for _ in 0..10 {
            attempts = attempts.reserve(10, NOW).unwrap();
        }
        assert_eq!(attempts.reserve(10, NOW), Err(Blocked { until: NOW + Duration::from_secs(1) }));
    }

    #[test]
    fn waiting_doubles_up_to_a_quarter_of_an_hour() {
        let mut attempts = Attempts { failures: 9, blocked_until: None };
        let mut now = NOW;
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            attempts = attempts.reserve(10, now).unwrap();
            let until = attempts.blocked_until.unwrap();
            assert_eq!(until.since(now), Duration::from_secs(expected));
            assert!(attempts.reserve(10, until - Duration::from_millis(1)).is_err());
            now = until;
        }
    }

    #[test]
    fn a_success_takes_its_own_reservation_back() {
        let nine = Attempts { failures: 9, blocked_until: None };
        let tenth = nine.reserve(10, NOW).unwrap();
        assert_eq!(tenth.refund(tenth), nine);
        assert_eq!(Attempts::default().refund(tenth).failures, 0);
    }

    #[test]
    fn a_success_never_makes_the_next_one_wait() {
        let mut attempts = Attempts { failures: 110, blocked_until: Some(NOW) };
        for _ in 0..3 {
            let reserved = attempts.reserve(100, NOW).unwrap();
            attempts = reserved.refund(reserved);
            assert_eq!(attempts.failures, 110);
        }
        assert!(attempts.reserve(100, NOW).unwrap().blocked_until > Some(NOW), "a failure still does");
    }

    #[test]
    fn a_success_lifts_no_wait_that_somebody_else_earned() {
        let twelve = Attempts { failures: 12, blocked_until: None };
        let success = twelve.reserve(10, NOW).unwrap();
        let later = success.blocked_until.unwrap();
        let failure = success.reserve(10, later).unwrap();
        assert_eq!(failure.refund(success).blocked_until, failure.blocked_until);
    }
}
