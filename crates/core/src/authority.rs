use std::time::Duration;

use crate::instant::Instant;
use crate::revocation::VERIFIER_MARGIN;

/// The random name of one database: keys sealed for it open in no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityId(pub String);

/// What holds for the whole database. Written once, at first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Random, never changed.
    pub id: AuthorityId,
    /// The `iss` of every token, byte for byte. A different one later is refused.
    pub issuer: String,
    /// No access token was ever signed for longer than this. Raised in the store *before* a longer one is signed, so
    /// that a revocation record outlives every token that it could refuse.
    pub longest_access_lifetime: Duration,
    /// No refresh token was ever signed for longer. Raised likewise, so that the public half of a key is kept for as long
    /// as a refresh token may need it.
    pub longest_refresh_lifetime: Duration,
    /// No cache was ever told to serve a JWK Set for longer (`max-age` and `stale-while-revalidate` together). Raised
    /// likewise, so that no key signs before every cache knows it.
    pub longest_jwks_lifetime: Duration,
    /// The latest instant at which one of its servers was seen, so that a clock that goes back is noticed.
    pub latest_seen_at: Option<Instant>,
}

impl Authority {
    /// For how long after the end of something an access token of it may be taken somewhere.
    pub fn aftermath(&self) -> Duration {
        self.longest_access_lifetime + VERIFIER_MARGIN
    }
}
