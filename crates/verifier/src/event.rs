use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use attesto_token::JwkError;

/// What happens to a verifier besides the tokens it checks, for logs and metrics: see
/// [`VerifierBuilder::on_event`](crate::VerifierBuilder::on_event). Each displays as a line for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The keys of the issuer were fetched.
    KeysRefreshed {
        /// How many of them can be used.
        keys: usize,
    },
    /// They could not be fetched. Those that are held serve on.
    KeysRefreshFailed {
        /// Why.
        reason: &'a str,
        /// Since when no fetch succeeded; `None` if none ever did.
        stale_for: Option<Duration>,
    },
    /// An entry of the issuer's JWK Set cannot be used; the others are not affected.
    KeyRefused {
        /// Its `kid`, if it has one.
        kid: Option<&'a str>,
        /// Why.
        reason: &'a JwkError,
    },
    /// A token named a key that is not in the set, and the set is fetched again for it.
    UnknownKid,
    /// A token named a key that is not in the set, and the set was fetched too shortly before to be fetched again yet.
    RateLimited,
    /// Something was revoked: the position in the feed has changed.
    RevocationsRefreshed {
        /// The position.
        seq: u64,
        /// How many records are held.
        records: usize,
    },
    /// An answer of the feed did not come, or was refused. What is known stays in force.
    RevocationsFailed {
        /// Why.
        reason: &'a str,
        /// Since when no answer was good; `None` if none ever was.
        stale_for: Option<Duration>,
    },
    /// The clock here and the issuer's differ by more than five seconds.
    ClockSkew {
        /// The issuer's time minus the time here, in seconds.
        seconds: i64,
    },
    /// The state file could not be read, or not be written; the verifier goes on without.
    StateFileFailed {
        /// Why.
        reason: &'a str,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysRefreshed { keys } => write!(f, "the keys of the issuer were fetched: {keys}"),
            Self::KeysRefreshFailed { reason, stale_for } => {
                write!(f, "the keys of the issuer could not be fetched: {reason} ({})", Since(*stale_for))
            }
            Self::KeyRefused { kid, reason } => {
                write!(f, "the key {} of the issuer is not used: {reason}", kid.unwrap_or("without kid"))
            }
            Self::UnknownKid => f.write_str("a token names an unknown key: the keys are fetched again"),
            Self::RateLimited => {
                f.write_str("a token names an unknown key: the keys were fetched just before")
            }
            Self::RevocationsRefreshed { seq, records } => {
                write!(f, "the revocation feed is at {seq}, with {records} living records")
            }
            Self::RevocationsFailed { reason, stale_for } => {
                write!(f, "the revocation feed brought no good answer: {reason} ({})", Since(*stale_for))
            }
            Self::ClockSkew { seconds } => {
                write!(f, "the clock of the issuer differs from this one by {seconds} s")
            }
            Self::StateFileFailed { reason } => write!(f, "the state file is of no use: {reason}"),
        }
    }
}

struct Since(Option<Duration>);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ago) => write!(f, "the last good answer is {} s old", ago.as_secs()),
            None => f.write_str("there was no good answer yet"),
        }
    }
}

/// Where events go.
#[derive(Default)]
pub(crate) struct Events(Option<Listener>);

type Listener = Box<dyn Fn(&Event<'_>) + Send + Sync>;

impl Events {
    pub(crate) fn to(listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(listener)))
    }

    /// A listener that panics ends neither a request nor those who follow the issuer.
    pub(crate) fn send(&self, event: &Event<'_>) {
        if let Some(listener) = &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| listener(event)));
        }
    }
}
