use std::time::Duration;

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
}
