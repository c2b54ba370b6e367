use actix_web::{HttpRequest, HttpResponse, web};

use super::jwk_set::serve_jwk_set;
use crate::app::App;

/// `GET /.well-known/jwks.json`: the published keys of tokens (RFC 7517 §5). Never empty, never redirected.
pub async fn jwks(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    serve_jwk_set(&app, &app.keys.loaded().token_jwk_set, &request)
}
