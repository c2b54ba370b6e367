//! A small service on actix-web: `cargo run --example actix --features actix -- https://auth.example orders`, with the
//! issuer and the audience.
//!
//! `GET /orders` wants a token with the scope `orders:read`, `POST /orders` one with `orders:write`; `GET /health` says
//! whether tokens can be checked.

use std::env;
use std::error::Error;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use attesto_verifier::{Authenticated, Denied, ResourceServer, Verifier};
use serde::Deserialize;

/// What this service wants to know of a token beyond what every token has.
#[derive(Deserialize)]
struct Claims {
    name: Option<String>,
}

async fn list(user: Authenticated<Claims>) -> Result<String, Denied> {
    user.require_scope("orders:read")?;
    let name = user.claims.name.as_deref().unwrap_or(user.std.subject());
    Ok(format!("the orders of {name}\n"))
}

async fn order(user: Authenticated<Claims>) -> Result<HttpResponse, Denied> {
    user.require_scope("orders:write")?;
    Ok(HttpResponse::Created().finish())
}

async fn health(verifier: web::Data<Verifier>) -> HttpResponse {
    match verifier.ready(Duration::ZERO).await {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// What `main` serves; the tests serve it in front of a real authority.
pub(crate) fn service(verifier: Verifier) -> impl FnOnce(&mut web::ServiceConfig) {
    let server = ResourceServer::new(verifier.clone()).realm("orders");
    move |config| {
        config
            .app_data(web::Data::new(verifier))
            .app_data(server)
            .route("/health", web::get().to(health))
            .route("/orders", web::get().to(list))
            .route("/orders", web::post().to(order));
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [issuer, audience] = arguments.as_slice() else {
        return Err("give the issuer and the audience".into());
    };

    let verifier = Verifier::builder(issuer).audience(audience).build()?;
    let app = move || App::new().configure(service(verifier.clone()));

    let server = HttpServer::new(app).bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    server.run().await?;
    Ok(())
}
