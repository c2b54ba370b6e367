use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::app::App;

/// Authorization server metadata (RFC 8414 §2), naming only what works.
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    /// Required by the RFC; there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    /// Absent would mean `authorization_code` and `implicit`.
    grant_types_supported: [&'static str; 0],
}

/// `GET /.well-known/oauth-authorization-server`.
pub async fn authorization_server(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .json(Metadata {
            issuer: &app.url,
            jwks_uri: format!("{}/.well-known/jwks.json", app.url),
            response_types_supported: [],
            grant_types_supported: [],
        })
}
