use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::App;
use crate::well_known::serve_jwk_set;

/// `GET /revocations/keys`: the published keys of the feed (RFC 7517 §5). No token is ever signed with one of them.
pub async fn revocation_keys(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    serve_jwk_set(&app, &app.keys.loaded().feed_jwk_set, &request)
}
