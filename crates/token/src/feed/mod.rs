//! The revocation feed on the wire, and what a consumer makes of it. `docs/feed.md` is its specification.
//!
//! An answer of the feed is a compact JWS of the type [`REVOCATIONS`](crate::typ::REVOCATIONS). Whoever has verified
//! its signature reads its payload with [`FeedAnswer::read`] and hands it to a [`RevocationList`], which says of a token
//! whether it was revoked.

mod answer;
mod list;
mod record;
mod shards;

pub use answer::{FEED_ANSWER_LIFETIME, FeedAnswer, FeedClaims, MAX_FEED_BYTES};
pub use list::{EpochRecords, Position, RevocableClaims, RevocationList};
pub use record::{RECORD_BYTES, RevocationRecord, RevokedBy, Salt};

/// Why an answer of the feed is refused. What was known before stays in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The payload is not the JSON object of the format, or an integer is out of its range.
    #[error("the answer is malformed")]
    Malformed,
    /// It is another authority's.
    #[error("the answer is of another issuer")]
    IssuerMismatch,
    /// Its `exp` has passed: it may be a replay.
    #[error("the answer has expired")]
    Expired,
    /// Its `iat` lies in the future: a clock is wrong.
    #[error("the answer was issued in the future")]
    IssuedInFuture,
    /// The key that signed it was declared leaked.
    #[error("the key that signed the answer was revoked")]
    KeyRevoked,
    /// It is of a feed that was given up before the present one began.
    #[error("the answer is of an older epoch")]
    OlderEpoch,
    /// It is of the present feed, and identifiers are hashed otherwise.
    #[error("the salt changed within an epoch")]
    SaltChanged,
    /// It ends before what is known: out of order, or replayed.
    #[error("the answer is older than what is known")]
    RolledBack,
    /// It begins after what is known: ask for everything.
    #[error("records are missing in between; ask for a snapshot")]
    Gap,
}
