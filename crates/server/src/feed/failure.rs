use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use attesto_verifier::Error;
use serde_json::json;

use super::query::WrongParameter;
use crate::unavailable::Unavailable;

/// Why there is no answer.
pub enum Failure {
    /// A parameter is wrong.
    Parameter(WrongParameter),
    /// The caller may not ask.
    Denied(Error),
    /// We cannot answer now.
    Unavailable(Arc<Unavailable>),
}

impl Failure {
    /// The answer: codes of RFC 6749 §5.2 and RFC 6750 §3.1.
    pub fn respond(&self) -> HttpResponse {
        let mut response = match self {
            Self::Parameter(_) | Self::Denied(Error::InvalidRequest) => HttpResponse::BadRequest(),
            Self::Denied(_) => HttpResponse::Unauthorized(),
            Self::Unavailable(_) => HttpResponse::ServiceUnavailable(),
        };
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::Parameter(wrong) => {
                response.json(json!({"error": "invalid_request", "error_description": wrong.to_string()}))
            }
            Self::Denied(error) => {
                let challenge = error.www_authenticate("revocations").unwrap_or_default();
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
                let code = error.rfc6750().unwrap_or("invalid_request");
                response.json(json!({"error": code, "error_description": error.to_string()}))
            }
            Self::Unavailable(cause) => {
                tracing::warn!(%cause, "the revocation feed cannot be answered");
                response.insert_header((header::RETRY_AFTER, "1"));
                response.json(json!({"error": "temporarily_unavailable"}))
            }
        }
    }
}

impl From<WrongParameter> for Failure {
    fn from(wrong: WrongParameter) -> Self {
        Self::Parameter(wrong)
    }
}

impl From<Unavailable> for Failure {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(Arc::new(cause))
    }
}

impl From<Arc<Unavailable>> for Failure {
    fn from(cause: Arc<Unavailable>) -> Self {
        Self::Unavailable(cause)
    }
}
