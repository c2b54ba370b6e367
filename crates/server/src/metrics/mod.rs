//! What the server does, in figures. Each part says its own; nothing is kept for it but counters.

mod access;
mod build;
mod feed;
mod keys;

use actix_web::http::header::CacheControl;
use actix_web::http::header::CacheDirective::NoStore;
use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use access::may_see;

use crate::app::App;

/// The text format of Prometheus as it was standardised.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`: for Prometheus, and whoever reads its text format.
pub async fn metrics(app: web::Data<App>) -> HttpResponse {
    let mut registry = Registry::with_prefix("attesto");
    build::register(&mut registry);
    feed::register(&app, &mut registry);
    keys::register(&app, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a text takes what is written");
    HttpResponse::Ok().insert_header(CacheControl(vec![NoStore])).content_type(OPEN_METRICS).body(text)
}
