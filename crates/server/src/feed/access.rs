use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use attesto_verifier::{Error, bearer_token};

use super::failure::Failure;
use crate::app::App;
use crate::tokens::OwnToken;

/// Lets everybody pass, or, if so configured, those who present an access token of this authority (RFC 6750 §2.1). Its
/// session may be over: whoever is signed out with everybody else has to hear of it.
pub fn require_access(app: &App, request: &HttpRequest) -> Result<(), Failure> {
    if !app.feed_requires_token {
        return Ok(());
    }
    let values = request.headers().get_all(AUTHORIZATION).map(HeaderValue::as_bytes);
    let token = bearer_token(values).map_err(Failure::Denied)?;
    match app.keys.loaded().tokens.read(token).map_err(Failure::Denied)? {
        OwnToken::Access(_) => Ok(()),
        OwnToken::Refresh(_) => Err(Failure::Denied(Error::TypeMismatch)),
    }
}
