use std::fmt;
use std::time::Duration;

use crate::gate::Watermark;
use crate::instant::Instant;
use crate::key::SigningAlgorithm;
use crate::policy::Policy;
use crate::scope::Scope;
use crate::secret::Digest;

/// A client's identifier (RFC 6749 §2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub String);

impl ClientId {
    /// The client to which the tokens of the SimpleJWT endpoints belong.
    pub fn simplejwt() -> Self {
        Self("simplejwt".to_owned())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It cannot: a page in a browser, an app on a phone.
    Public,
    /// It can, and authenticates with this secret (256 random bits, of which only the digest is kept).
    Confidential(Digest),
}

/// A program that obtains tokens for users.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// Public or confidential.
    pub kind: ClientKind,
    /// Where the authorization endpoint may send its users back to; exact strings.
    pub redirect_uris: Vec<String>,
    /// The `aud` of its access tokens.
    pub audience: String,
    /// The scope of its access tokens.
    pub scope: Scope,
    /// Whether each refresh gives a new refresh token.
    pub rotates: bool,
    /// Its own grace interval, if it differs from the configured one.
    pub grace_interval: Option<Duration>,
    /// What signs its access tokens, if it differs from what is configured.
    pub access_token_algorithm: Option<SigningAlgorithm>,
    /// What signs its refresh tokens, if it differs from what is configured.
    pub refresh_token_algorithm: Option<SigningAlgorithm>,
    /// When the operator disabled it, if so.
    pub disabled_at: Option<Instant>,
    /// Sessions created at or before this are over.
    pub watermark: Watermark,
    /// When it was added.
    pub created_at: Instant,
}

impl Client {
    /// What signs its access tokens.
    pub fn access_token_algorithm(&self, policy: &Policy) -> SigningAlgorithm {
        self.access_token_algorithm.unwrap_or(policy.access_token_algorithm)
    }

    /// What signs its refresh tokens.
    pub fn refresh_token_algorithm(&self, policy: &Policy) -> SigningAlgorithm {
        self.refresh_token_algorithm.unwrap_or(policy.refresh_token_algorithm)
    }
}
