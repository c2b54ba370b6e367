use actix_web::http::header::{self, ETag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::App;

/// `GET /.well-known/jwks.json`: the published keys (RFC 7517 §5). Never empty, never redirected.
pub async fn jwks(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let keys = app.keys.loaded();
    let has_it = IfNoneMatch::parse(&request).is_ok_and(|known| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&keys.etag)),
    });
    let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(keys.etag.clone()))
        .insert_header((header::CACHE_CONTROL, cache_control(&app)))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    if has_it {
        return response.finish();
    }
    response.content_type("application/jwk-set+json").body(keys.jwk_set.clone())
}

/// A set that may be out of date is better than none, and nobody is to keep it: guards count on that.
fn cache_control(app: &App) -> &str {
    if app.keys.confirmed().is_ok() { &app.jwks_cache_control } else { "no-cache" }
}
