use std::fmt;
use std::time::Duration;

use actix_web::http::{ConnectionType, StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use attesto_core::Refusal;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::metrics::RefusalClass;
use crate::unavailable::Unavailable;

/// Everything that the dialect answers other than 200.
#[derive(Debug)]
pub enum SimpleJwtError {
    /// The decision was no.
    Refused(Refusal),
    /// The token did not pass the verifier.
    Token(attesto_verifier::Error),
    /// A good access token, where a refresh token is wanted.
    NotARefreshToken,
    /// At `verify`: validly signed, and ended since.
    VerifiedTokenRevoked,
    /// We cannot answer now.
    Unavailable(Unavailable),
    /// Some fields are missing or of the wrong kind.
    Fields(FieldErrors),
    /// The JSON document is no object; names Python's word for what it is, or nothing for `null`.
    NotAnObject(Option<&'static str>),
    /// The body does not parse as what it says it is.
    Parse {
        /// `JSON` or `Multipart form`.
        format: &'static str,
        /// The parser's words.
        cause: String,
    },
    /// The body is of a type that is not read.
    UnsupportedMediaType(String),
    /// Over 64 KiB.
    BodyTooLarge,
    /// It took longer than ten seconds to arrive.
    BodyTooSlow,
    /// The connection broke in the body.
    BodyBroken,
    /// `Accept` excludes JSON.
    NotAcceptable,
    /// Neither POST nor OPTIONS.
    MethodNotAllowed(String),
}

/// What is wrong with each field, in the order in which the endpoint names them.
#[derive(Debug, Default)]
pub struct FieldErrors(pub Vec<(&'static str, Vec<String>)>);

impl Serialize for FieldErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, messages)| (field, messages)))
    }
}

/// The shape of everything but field errors, its members in the order of the original.
#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl SimpleJwtError {
    /// The answer in the dialect's three shapes.
    pub fn respond(&self) -> HttpResponse {
        match self {
            Self::Refused(refusal) => refused(*refusal),
            Self::Token(error) => token_refused(error),
            Self::NotARefreshToken => token_not_valid("Token has wrong type"),
            Self::VerifiedTokenRevoked => {
                HttpResponse::BadRequest().json(json!({"non_field_errors": ["Token is blacklisted"]}))
            }
            Self::Unavailable(_) => unavailable(),
            Self::Fields(errors) => HttpResponse::BadRequest().json(errors),
            Self::NotAnObject(what) => {
                HttpResponse::BadRequest().json(json!({"non_field_errors": [match what {
                    None => "No data provided".to_owned(),
                    Some(what) => format!("Invalid data. Expected a dictionary, but got {what}."),
                }]}))
            }
            Self::Parse { format, cause } => {
                detail(StatusCode::BAD_REQUEST, &format!("{format} parse error - {cause}"))
            }
            Self::UnsupportedMediaType(given) => detail(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &format!("Unsupported media type \"{given}\" in request."),
            ),
            Self::BodyTooLarge => last(detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large.")),
            Self::BodyTooSlow => last(detail(StatusCode::REQUEST_TIMEOUT, "Request body took too long.")),
            Self::BodyBroken => last(detail(StatusCode::BAD_REQUEST, "Request body could not be read.")),
            Self::NotAcceptable => {
                last(detail(StatusCode::NOT_ACCEPTABLE, "Could not satisfy the request Accept header."))
            }
            Self::MethodNotAllowed(method) => {
                detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."))
            }
        }
    }
}

impl SimpleJwtError {
    /// In which class it is counted; `None` for what did not come as far as the endpoint.
    pub fn class(&self) -> Option<RefusalClass> {
        match self {
            Self::Refused(refusal) => Some(class_of(*refusal)),
            Self::Token(attesto_verifier::Error::Expired) => Some(RefusalClass::Expired),
            Self::Token(_) | Self::NotARefreshToken => Some(RefusalClass::Invalid),
            Self::VerifiedTokenRevoked => Some(RefusalClass::Revoked),
            Self::Unavailable(_) => Some(RefusalClass::Unavailable),
            Self::Fields(_)
            | Self::NotAnObject(_)
            | Self::Parse { .. }
            | Self::UnsupportedMediaType(_)
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::BodyBroken => Some(RefusalClass::Malformed),
            Self::NotAcceptable | Self::MethodNotAllowed(_) => None,
        }
    }
}

fn class_of(refusal: Refusal) -> RefusalClass {
    match refusal {
        Refusal::CredentialsInvalid => RefusalClass::Credentials,
        Refusal::SignInThrottled { .. } => RefusalClass::Throttled,
        Refusal::RefreshTokenUnknown | Refusal::SessionUnknown | Refusal::ClientMismatch => {
            RefusalClass::Invalid
        }
        Refusal::RefreshTokenReplayed => RefusalClass::Replayed,
        Refusal::SessionRevoked => RefusalClass::Revoked,
        Refusal::SessionExpired => RefusalClass::Expired,
        Refusal::ClientDisabled | Refusal::UserInactive => RefusalClass::Disabled,
    }
}

/// One exhaustive mapping from reason to wire. Clients branch on shape, `code` and text.
fn refused(refusal: Refusal) -> HttpResponse {
    match refusal {
        Refusal::CredentialsInvalid => no_account("No active account found with the given credentials"),
        Refusal::UserInactive | Refusal::ClientDisabled => {
            no_account("No active account found for the given token.")
        }
        Refusal::SignInThrottled { retry_after } => throttled(retry_after),
        Refusal::RefreshTokenUnknown | Refusal::ClientMismatch => token_not_valid("Token is invalid"),
        Refusal::SessionExpired => token_not_valid("Token is expired"),
        Refusal::RefreshTokenReplayed | Refusal::SessionRevoked | Refusal::SessionUnknown => {
            token_not_valid("Token is blacklisted")
        }
    }
}

fn token_refused(error: &attesto_verifier::Error) -> HttpResponse {
    use attesto_verifier::Error;

    match error {
        Error::Expired => token_not_valid("Token is expired"),
        Error::ClaimMissing("exp") => token_not_valid("Token has no 'exp' claim"),
        Error::ClaimMissing("jti") => token_not_valid("Token has no id"),
        _ => token_not_valid("Token is invalid"),
    }
}

fn token_not_valid(text: &str) -> HttpResponse {
    unauthorized().json(Detail { detail: text, code: Some("token_not_valid") })
}

fn no_account(text: &str) -> HttpResponse {
    unauthorized().json(Detail { detail: text, code: None })
}

fn unauthorized() -> HttpResponseBuilder {
    let mut response = HttpResponse::Unauthorized();
    response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"api\""));
    response
}

fn throttled(retry_after: Duration) -> HttpResponse {
    let seconds = retry_after.as_millis().div_ceil(1000).max(1);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    HttpResponse::TooManyRequests()
        .insert_header((header::RETRY_AFTER, seconds.to_string()))
        .json(json!({"detail": format!("Request was throttled. Expected available in {seconds} {unit}.")}))
}

fn unavailable() -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, "1"))
        .json(Detail { detail: "Service temporarily unavailable, try again later.", code: None })
}

/// The rest of the body is not waited for: the connection ends with this answer.
fn last(mut response: HttpResponse) -> HttpResponse {
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

fn detail(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(Detail { detail: text, code: None })
}

impl ResponseError for SimpleJwtError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(refusal) => tracing::info!(%refusal, "refused"),
            Self::Token(error) => tracing::info!(code = error.code(), "token refused"),
            Self::NotARefreshToken => tracing::info!(code = "not_a_refresh_token", "token refused"),
            // As many lines as there are too many requests would help nobody: the metrics count them.
            Self::Unavailable(cause @ Unavailable::Crowded) => tracing::debug!(%cause, "unavailable"),
            Self::Unavailable(cause) => tracing::error!(%cause, "unavailable"),
            _ => {}
        }
        self.respond()
    }
}

/// Not for the wire: [`SimpleJwtError::respond`] is.
impl fmt::Display for SimpleJwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<Refusal> for SimpleJwtError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<attesto_verifier::Error> for SimpleJwtError {
    fn from(error: attesto_verifier::Error) -> Self {
        Self::Token(error)
    }
}

impl From<Unavailable> for SimpleJwtError {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}
