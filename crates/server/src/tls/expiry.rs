use std::time::Duration;

use attesto_core::Instant;

/// Whoever renews a certificate has done so long before.
const SOON: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nobody has to think of it.
    Far,
    /// Within two days.
    Near,
    /// Clients refuse it.
    Past,
}

impl Expiry {
    /// Of one that is good until `not_after`, in seconds since 1970.
    pub fn at(now: Instant, not_after: u64) -> Self {
        let not_after = Instant::from_seconds(i64::try_from(not_after).unwrap_or(i64::MAX));
        if now > not_after {
            Self::Past
        } else if not_after.since(now) < SOON {
            Self::Near
        } else {
            Self::Far
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_near_its_end_for_two_days() {
        const END: i64 = 1_900_000_000;
        const DAY: i64 = 24 * 60 * 60;
        for (now, expected) in [
            (END - 30 * DAY, Expiry::Far),
            (END - 2 * DAY, Expiry::Far),
            (END - 2 * DAY + 1, Expiry::Near),
            (END, Expiry::Near),
            (END + 1, Expiry::Past),
            (END + 30 * DAY, Expiry::Past),
        ] {
            assert_eq!(Expiry::at(Instant::from_seconds(now), END.unsigned_abs()), expected, "{now}");
        }
        assert_eq!(Expiry::at(Instant::from_seconds(END), u64::MAX), Expiry::Far);
    }
}
