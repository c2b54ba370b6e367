use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use attesto_verifier::Error;

use super::failure::Failure;
use crate::app::App;
use crate::tokens::OwnToken;

/// Lets everybody pass, or, if so configured, those who present an access token of this authority (RFC 6750 §2.1). Its
/// session may be over: whoever is signed out with everybody else has to hear of it.
pub fn require_access(app: &App, request: &HttpRequest) -> Result<(), Failure> {
    if !app.feed_requires_token {
        return Ok(());
    }
    match app.keys.loaded().tokens.read(bearer(request)?).map_err(Failure::Denied)? {
        OwnToken::Access(_) => Ok(()),
        OwnToken::Refresh(_) => Err(Failure::Denied(Error::TypeMismatch)),
    }
}

/// The one token of the one header.
fn bearer(request: &HttpRequest) -> Result<&str, Failure> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Failure::Denied(Error::Missing));
    };
    let credentials = value.to_str().unwrap_or_default().split_once(' ');
    match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Failure::Denied(Error::Missing)),
    }
}
