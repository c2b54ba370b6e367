use std::time::Duration;

use attesto_core::Instant;

/// The longest that a poll waits.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// What is asked of the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of which feed; the present one if it is left out.
    pub epoch: Option<Instant>,
    /// What comes after this position; everything if it is left out.
    pub after: Option<i64>,
    /// How long to wait if there is nothing.
    pub wait: Duration,
}

/// A parameter is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct WrongParameter {
    name: &'static str,
    problem: &'static str,
}

impl Query {
    /// Reads `epoch`, `after` and `wait`. Other parameters are nothing to us.
    pub fn parse(query: &str) -> Result<Self, WrongParameter> {
        let number = |name| number(query, name);
        let seconds = number("wait")?.unwrap_or(0).unsigned_abs();
        Ok(Self {
            epoch: number("epoch")?.map(Instant::from_millis),
            after: number("after")?,
            wait: Duration::from_secs(seconds).min(LONGEST_WAIT),
        })
    }
}

fn number(query: &str, name: &'static str) -> Result<Option<i64>, WrongParameter> {
    let wrong = |problem| WrongParameter { name, problem };
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(given, _)| given == name);
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong("is given twice"));
    }
    if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong("is a whole number, 0 or more"));
    }
    // What does not fit is larger than anything that there is.
    Ok(Some(value.parse().unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(epoch: Option<i64>, after: Option<i64>, wait: u64) -> Query {
        Query { epoch: epoch.map(Instant::from_millis), after, wait: Duration::from_secs(wait) }
    }

    #[test]
    fn numbers_are_read() {
        for (text, expected) in [
            ("", query(None, None, 0)),
            ("after=0", query(None, Some(0), 0)),
            ("epoch=5&after=7&wait=3&other=x", query(Some(5), Some(7), 3)),
            ("after=7&wait=99999999999", query(None, Some(7), 25)),
            ("after=9223372036854775807", query(None, Some(i64::MAX), 0)),
            ("after=9223372036854775808", query(None, Some(i64::MAX), 0)),
            ("epoch=99999999999999999999&after=00", query(Some(i64::MAX), Some(0), 0)),
            ("after=7&wait=18446744073709551617", query(None, Some(7), 25)),
        ] {
            assert_eq!(Query::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_named() {
        for name in ["epoch", "after", "wait"] {
            for value in ["", "-1", "1.5", "+1", "%2B1", "x", "0x1", "%201", "1%20", "1e9"] {
                let problem = "is a whole number, 0 or more";
                assert_eq!(Query::parse(&format!("{name}={value}")), Err(WrongParameter { name, problem }));
            }
            let problem = "is given twice";
            assert_eq!(Query::parse(&format!("{name}=1&{name}=1")), Err(WrongParameter { name, problem }));
        }
    }
}
