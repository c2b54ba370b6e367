use actix_web::http::header::{self, Header as _, HeaderValue, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::keys::WrittenJwkSet;

const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers with a JWK Set, or says that the caller has it.
pub fn serve_jwk_set(app: &App, set: &WrittenJwkSet, request: &HttpRequest) -> HttpResponse {
    let has_it = IfNoneMatch::parse(request).is_ok_and(|known| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&set.etag)),
    });
    let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, set.etag_header.clone()))
        .insert_header((header::CACHE_CONTROL, cache_control(app)))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, ANYBODY));
    if has_it {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, JWK_SET)).body(set.bytes.clone())
}

/// A set that may be out of date is better than none, and nobody is to keep it: guards count on that.
fn cache_control(app: &App) -> HeaderValue {
    if app.keys.confirmed().is_ok() { app.jwks_cache_control.clone() } else { NO_CACHE }
}
