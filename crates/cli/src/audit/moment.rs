use std::time::Duration;

use attesto_core::Instant;
use chrono::{DateTime, NaiveDate, NaiveTime};

/// A point in time, as operators type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the calendar.
    At(Instant),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// Reads `2026-11-29T12:00:00Z`, `2026-11-29` for its beginning in UTC, or `2h` for two hours ago.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of_day = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let at = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        let at = at.or_else(|_| text.parse().map(of_day));
        at.map(|at| Self::At(Instant::from_millis(at.timestamp_millis())))
            .or_else(|_| humantime::parse_duration(text).map(Self::Ago))
            .map_err(|_| "is a time such as 2026-11-29T12:00:00Z, a day such as 2026-11-29, or how long ago, such as 2h".to_owned())
    }

    /// As of `now`.
    pub fn instant(self, now: Instant) -> Instant {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now - ago,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_typed() {
        let now = Instant::from_seconds(1_000_000);
        for (text, seconds) in [
            ("1970-01-01T00:00:07Z", 7),
            ("1970-01-01T02:00:07+02:00", 7),
            ("1970-01-02", 86_400),
            ("2h", 1_000_000 - 7_200),
            ("1m 1s", 1_000_000 - 61),
        ] {
            assert_eq!(Moment::parse(text).unwrap().instant(now), Instant::from_seconds(seconds), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "7"] {
            assert!(Moment::parse(text).unwrap_err().starts_with("is a time such as"), "{text}");
        }
    }
}
