use actix_web::http::header::CacheControl;
use actix_web::http::header::CacheDirective::NoStore;
use actix_web::{HttpResponse, HttpResponseBuilder, web};

use crate::app::App;

/// `GET /livez`: the process answers. It asks nothing else, so that load on the database restarts nobody.
pub async fn live() -> HttpResponse {
    plain(HttpResponse::Ok(), "ok\n")
}

/// `GET /readyz`: requests should be sent here. Fails as soon as the server was asked to stop.
pub async fn ready(app: web::Data<App>) -> HttpResponse {
    if app.stopping.is_set() {
        return plain(HttpResponse::ServiceUnavailable(), "stopping\n");
    }
    if app.keys.confirmed().is_err() {
        return plain(HttpResponse::ServiceUnavailable(), "the signing keys are not confirmed\n");
    }
    if !app.clock.is_steady() {
        return plain(HttpResponse::ServiceUnavailable(), "the clock of the database jumped\n");
    }
    match app.store.read(|tx| tx.find_authority()).await {
        Ok(Some(_)) => plain(HttpResponse::Ok(), "ready\n"),
        Ok(None) | Err(_) => plain(HttpResponse::ServiceUnavailable(), "the database does not answer\n"),
    }
}

fn plain(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    response.insert_header(CacheControl(vec![NoStore])).content_type("text/plain; charset=utf-8").body(text)
}
