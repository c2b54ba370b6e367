use crate::claims::CustomClaims;
use crate::client::ClientId;
use crate::instant::Instant;
use crate::key::SigningAlgorithm;
use crate::scope::Scope;
use crate::session::SessionId;
use crate::user::UserId;

/// What an access token may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGrant {
    /// `sub`.
    pub user_id: UserId,
    /// `client_id`.
    pub client_id: ClientId,
    /// `sid`.
    pub sid: SessionId,
    /// `aud`.
    pub audience: String,
    /// `scope`.
    pub scope: Scope,
    /// `auth_time`.
    pub auth_time: Instant,
    /// The user's own claims.
    pub claims: CustomClaims,
    /// `iat`.
    pub issued_at: Instant,
    /// `exp`.
    pub expires_at: Instant,
    /// `alg`.
    pub algorithm: SigningAlgorithm,
}

/// What a refresh token may say, except for its `jti`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshGrant {
    /// `sub`.
    pub user_id: UserId,
    /// `client_id`.
    pub client_id: ClientId,
    /// `sid`.
    pub sid: SessionId,
    /// `gen`.
    pub generation: i64,
    /// The user's own claims.
    pub claims: CustomClaims,
    /// `iat`.
    pub issued_at: Instant,
    /// `exp`.
    pub expires_at: Instant,
    /// `alg`.
    pub algorithm: SigningAlgorithm,
}
