use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

/// Exactly these keys; `refresh` is absent where the refresh token stays.
#[derive(Serialize)]
pub struct Pair {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    pub access: String,
}

/// `{}`: all is well, and there is nothing to say.
#[derive(Serialize)]
pub struct Empty {}

impl Responder for Pair {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}

impl Responder for Empty {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}
