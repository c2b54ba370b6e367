use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

/// At sign-in: exactly these keys, in this order.
#[derive(Serialize)]
pub struct Pair {
    pub refresh: String,
    pub access: String,
}

/// At refresh the order is another; `refresh` is absent where the refresh token stays.
#[derive(Serialize)]
pub struct Renewed {
    pub access: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
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

impl Responder for Renewed {
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
