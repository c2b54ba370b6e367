use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `typ` header values of Attesto's tokens (RFC 8725 §3.11): no kind is ever taken for another.
pub mod typ {
    /// An access token (RFC 9068 §2.1).
    pub const ACCESS: &str = "at+jwt";
    /// A refresh token, for the authority alone.
    pub const REFRESH: &str = "rt+jwt";
    /// An answer of the revocation feed.
    pub const REVOCATIONS: &str = "revocations+jwt";
}

/// The claims of an access token: RFC 9068 §2.2, and at the same time what a SimpleJWT resource server reads.
///
/// All instants are whole seconds since 1970 (`NumericDate`, RFC 7519 §2). There is no `nbf`: a resource server whose
/// clock is behind would refuse a fresh token for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// The authority's URL, byte for byte as configured.
    pub iss: String,
    /// The user's identifier.
    pub sub: String,
    /// The resource servers that this token is for.
    pub aud: String,
    /// First second at which the token is no longer valid.
    pub exp: i64,
    /// When it was issued, rounded down.
    pub iat: i64,
    /// 128 random bits, as 32 lower-case hex digits.
    pub jti: String,
    /// The client that obtained it.
    pub client_id: String,
    /// Space-separated scopes; absent if there is none (RFC 9068 §2.2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The session that it belongs to.
    pub sid: String,
    /// When the user last proved who they are.
    pub auth_time: i64,
    /// Always `access`: SimpleJWT's own type claim.
    pub token_type: String,
    /// Equal to `sub`: SimpleJWT's user claim.
    pub user_id: String,
    /// Claims that the operator gave the user, frozen at sign-in.
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}

/// The claims of a refresh token. Only the authority reads it: `aud` is the issuer itself, so that no resource server
/// takes it for an access token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenClaims {
    /// The authority's URL.
    pub iss: String,
    /// The user's identifier.
    pub sub: String,
    /// Equal to `iss`.
    pub aud: String,
    /// First second at which the token is no longer valid.
    pub exp: i64,
    /// When it was issued, rounded down.
    pub iat: i64,
    /// The secret of the token: 128 random bits, as 32 lower-case hex digits. Only its digest is stored.
    pub jti: String,
    /// The client that obtained it.
    pub client_id: String,
    /// The session that it continues.
    pub sid: String,
    /// Which successor within the session this is, from 1.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// Always `refresh`.
    pub token_type: String,
    /// Equal to `sub`.
    pub user_id: String,
    /// Claims that the operator gave the user, frozen at sign-in.
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}
