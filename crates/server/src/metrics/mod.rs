//! What the server does, in figures. Each part says its own. What happens often is counted by a few atomic additions; what
//! has to be asked of the database is sampled; everything else is looked at when somebody reads it. Labels are words of
//! ours: nothing that a caller chose is among them.

mod access;
mod build;
mod feed;
mod histogram;
mod keys;
mod passwords;
mod requests;
mod sampled;
mod store;
mod tls;
mod tokens;

use actix_web::http::header::CacheControl;
use actix_web::http::header::CacheDirective::NoStore;
use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use access::may_see;
pub use requests::{Route, count_requests};
pub use sampled::{Sampled, sample, take_samples};
pub use tokens::{Grant, RefusalClass};

use crate::app::App;
use requests::Requests;
use tokens::Tokens;

/// The text format of Prometheus as it was standardised.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted as it happens, without a lock.
pub struct Counts {
    /// Of every route.
    pub requests: Requests,
    /// Given out and refused.
    pub tokens: Tokens,
}

impl Counts {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { requests: Requests::new(), tokens: Tokens::new() }
    }
}

/// `GET /metrics`: for Prometheus, and whoever reads its text format.
pub async fn metrics(app: web::Data<App>) -> HttpResponse {
    let mut registry = Registry::with_prefix("attesto");
    build::register(&mut registry);
    feed::register(&app, &mut registry);
    keys::register(&app, &mut registry);
    passwords::register(&app, &mut registry);
    store::register(&app, &mut registry);
    tls::register(&app, &mut registry);
    app.sampled.register(&mut registry);
    app.counts.tokens.register(&mut registry);
    app.counts.requests.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a text takes what is written");
    HttpResponse::Ok().insert_header(CacheControl(vec![NoStore])).content_type(OPEN_METRICS).body(text)
}
