use std::sync::Arc;
use std::time::Duration;

use attesto_token::feed::Position;

use crate::verifier::Verifier;

/// What a [`Verifier`] knows, for health checks and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Of the keys.
    pub keys: KeySetStatus,
    /// Of the revocation feed; `None` if none is followed.
    pub revocations: Option<RevocationsStatus>,
    /// The issuer's time minus the time here, in seconds, as of the last answer; `None` before the first. Answers say
    /// the second in which they were made, so one second more or less means nothing.
    pub clock_skew: Option<i64>,
}

/// What a [`Verifier`] knows of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySetStatus {
    /// The identifiers of the keys that are held.
    pub kids: Vec<Arc<str>>,
    /// The time since the last successful fetch; `None` for keys that were not fetched.
    pub age: Option<Duration>,
    /// Whether they are too old to be used, or there are none: every token is refused with a 503.
    pub unavailable: bool,
    /// How many fetches there were, good and bad.
    pub fetches: u64,
    /// Why the last fetch failed; `None` if it did not.
    pub last_error: Option<String>,
}

/// What a [`Verifier`] knows of the revocation feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationsStatus {
    /// Which feed, and its newest record that is known; `None` before the first answer.
    pub position: Option<Position>,
    /// How many records are held.
    pub records: usize,
    /// The time since the last good answer; `None` before the first. While all is well, at most 25 seconds.
    pub age: Option<Duration>,
    /// Why the last request failed, or its answer was refused; `None` if neither.
    pub last_error: Option<String>,
}

impl Verifier {
    /// What is known of keys and revocations.
    pub fn status(&self) -> Status {
        let shared = self.shared();
        let now = shared.clock.monotonic();
        let trust = shared.trust.load();
        let keys = KeySetStatus {
            kids: trust.keys.iter().map(|key| Arc::clone(&key.kid)).collect(),
            age: trust.keys.age(now),
            unavailable: !trust.keys.is_usable(|| now, self.policy().max_key_age),
            fetches: self.keys_link().map_or(0, |link| link.attempts()),
            last_error: self.keys_link().and_then(|link| link.last_error()),
        };
        let revocations = self.feed_link().map(|link| RevocationsStatus {
            position: trust.revocations.position(),
            records: trust.revocations.len(),
            age: shared.fed_ago(now, shared.clock.unix_now()),
            last_error: link.last_error(),
        });
        Status { keys, revocations, clock_skew: shared.skew() }
    }
}
