use attesto_token::JwsError;

/// Why a token was not accepted. No variant holds a byte of the token, so an error can be logged as it is.
///
/// | errors | HTTP status | `error` (RFC 6750 §3.1) |
/// | --- | --- | --- |
/// | [`Missing`](Self::Missing) | 401 | none |
/// | [`InvalidRequest`](Self::InvalidRequest) | 400 | `invalid_request` |
/// | [`InsufficientScope`](Self::InsufficientScope) | 403 | `insufficient_scope` |
/// | [`KeysUnavailable`](Self::KeysUnavailable), [`RevocationsUnavailable`](Self::RevocationsUnavailable) | 503 | none: the token is not to blame |
/// | all others | 401 | `invalid_token` |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request carries no access token. [`bearer_token`](crate::bearer_token) says so, `verify` never.
    #[error("there is no access token")]
    Missing,
    /// The request has more than one `Authorization`, or its credentials are not a token after `Bearer` (RFC 6750 §2.1,
    /// §3.1). [`bearer_token`](crate::bearer_token) says so, `verify` never.
    #[error("the request needs exactly one Authorization header with one Bearer token")]
    InvalidRequest,
    /// Not a compact JWS (RFC 7515 §7.1) whose header and payload are JSON objects with unique members.
    #[error("the token is malformed")]
    Malformed,
    /// Longer than 8 KiB.
    #[error("the token is too large")]
    TooLarge,
    /// `alg` is not in the allow-list, or is not the algorithm of the key (RFC 8725 §3.1).
    #[error("the algorithm is not allowed")]
    AlgNotAllowed,
    /// `typ` is missing or names another kind of token (RFC 9068 §4, RFC 8725 §3.11).
    #[error("the token is of another type")]
    TypeMismatch,
    /// The header has `crit` (RFC 7515 §4.1.11) or `b64` (RFC 7797).
    #[error("the token demands an extension that is not supported")]
    CritUnsupported,
    /// `kid` is missing, or is not that of a key of the issuer.
    #[error("the key is unknown")]
    KeyUnknown,
    /// The key did not make this signature.
    #[error("the signature is invalid")]
    SignatureInvalid,
    /// `exp` has come (RFC 7519 §4.1.4).
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies in the future (RFC 7519 §4.1.5).
    #[error("the token is not yet valid")]
    NotYetValid,
    /// `iat` lies in the future: a clock is wrong.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `iss` is another issuer.
    #[error("the token is from another issuer")]
    IssuerMismatch,
    /// `aud` names none of the expected audiences.
    #[error("the token is for another audience")]
    AudienceMismatch,
    /// A claim that RFC 9068 §2.2 requires is absent.
    #[error("the claim {0} is missing")]
    ClaimMissing(&'static str),
    /// A claim has the wrong type, or a value out of range. That is never taken for an absent claim.
    #[error("the claim {0} is invalid")]
    ClaimInvalid(&'static str),
    /// The claims are in order but do not fit the type that the caller asked for. Mostly that type demands too much: a
    /// claim that not every token has is an `Option` there, and who wants no claims asks for `serde::de::IgnoredAny`.
    #[error("the claims are not those that are expected here")]
    ClaimsMismatch,
    /// It was ended before its time: its session, its user, its client, its key, or the token itself.
    #[error("the token was revoked")]
    Revoked,
    /// The token is good but not for this: RFC 6750 §3.1.
    #[error("the token lacks a required scope")]
    InsufficientScope {
        /// The scopes that are necessary.
        required: Vec<String>,
    },
    /// No key set is there yet, or the last good one is too old (a day, unless told): the issuer cannot be reached.
    #[error("the keys of the issuer are unavailable")]
    KeysUnavailable,
    /// Which tokens were revoked is not known, or has not been heard of for too long.
    #[error("the revocations of the issuer are unavailable")]
    RevocationsUnavailable,
}

impl Error {
    /// A name for logs and metrics, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::InvalidRequest => "invalid_request",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::TypeMismatch => "type_mismatch",
            Self::CritUnsupported => "crit_unsupported",
            Self::KeyUnknown => "key_unknown",
            Self::SignatureInvalid => "signature_invalid",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::AudienceMismatch => "audience_mismatch",
            Self::ClaimMissing(_) => "claim_missing",
            Self::ClaimInvalid(_) => "claim_invalid",
            Self::ClaimsMismatch => "claims_mismatch",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
            Self::RevocationsUnavailable => "revocations_unavailable",
        }
    }

    /// The HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::InsufficientScope { .. } => 403,
            Self::KeysUnavailable | Self::RevocationsUnavailable => 503,
            _ => 401,
        }
    }

    /// The `error` parameter of RFC 6750 §3.1. `None` where the section wants none ([`Missing`](Self::Missing)) and
    /// where the fault is not the token's ([`KeysUnavailable`](Self::KeysUnavailable),
    /// [`RevocationsUnavailable`](Self::RevocationsUnavailable)).
    pub fn rfc6750(&self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::KeysUnavailable | Self::RevocationsUnavailable => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InsufficientScope { .. } => Some("insufficient_scope"),
            Self::Malformed
            | Self::TooLarge
            | Self::AlgNotAllowed
            | Self::TypeMismatch
            | Self::CritUnsupported
            | Self::KeyUnknown
            | Self::SignatureInvalid
            | Self::Expired
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::IssuerMismatch
            | Self::AudienceMismatch
            | Self::ClaimMissing(_)
            | Self::ClaimInvalid(_)
            | Self::ClaimsMismatch
            | Self::Revoked => Some("invalid_token"),
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3); `None` for a 503, which is no challenge.
    ///
    /// ```
    /// use attesto_verifier::Error;
    ///
    /// assert_eq!(Error::Missing.www_authenticate("orders").unwrap(), r#"Bearer realm="orders""#);
    /// assert_eq!(
    ///     Error::Expired.www_authenticate("orders").unwrap(),
    ///     r#"Bearer realm="orders", error="invalid_token", error_description="the token has expired""#
    /// );
    /// ```
    pub fn www_authenticate(&self, realm: &str) -> Option<String> {
        self.challenge(realm, None)
    }

    /// `resource_metadata` is the address of RFC 9728 §5.1.
    pub(crate) fn challenge(&self, realm: &str, resource_metadata: Option<&str>) -> Option<String> {
        if self.status() == 503 {
            return None;
        }
        let mut parameters = vec![format!("realm={}", quoted(realm))];
        if let Some(error) = self.rfc6750() {
            parameters.push(format!("error=\"{error}\""));
            parameters.push(format!("error_description=\"{self}\""));
        }
        if let Self::InsufficientScope { required } = self {
            parameters.push(format!("scope={}", quoted(&required.join(" "))));
        }
        if let Some(url) = resource_metadata {
            parameters.push(format!("resource_metadata={}", quoted(url)));
        }
        Some(format!("Bearer {}", parameters.join(", ")))
    }
}

/// A quoted-string (RFC 9110 §5.6.4). Control characters have no spelling there and are left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

impl From<JwsError> for Error {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLarge => Self::TooLarge,
            JwsError::CritUnsupported => Self::CritUnsupported,
            _ => Self::Malformed,
        }
    }
}
