//! A small service on axum: `cargo run --example axum --features axum -- https://auth.example orders`, with the issuer
//! and the audience.
//!
//! `GET /orders` wants a token with the scope `orders:read`, `POST /orders` one with `orders:write`; `GET /health` says
//! whether tokens can be checked.

use std::env;
use std::error::Error;
use std::time::Duration;

use attesto_verifier::{Authenticated, Denied, ResourceServer, Verifier};
use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;

/// What this service wants to know of a token beyond what every token has.
#[derive(Deserialize)]
struct Claims {
    name: Option<String>,
}

#[derive(Clone)]
struct App {
    verifier: Verifier,
    server: ResourceServer,
}

impl FromRef<App> for ResourceServer {
    fn from_ref(app: &App) -> Self {
        app.server.clone()
    }
}

async fn list(user: Authenticated<Claims>) -> Result<String, Denied> {
    user.require_scope("orders:read")?;
    let name = user.claims.name.as_deref().unwrap_or(user.std.subject());
    Ok(format!("the orders of {name}\n"))
}

async fn order(user: Authenticated<Claims>) -> Result<StatusCode, Denied> {
    user.require_scope("orders:write")?;
    Ok(StatusCode::CREATED)
}

async fn health(State(app): State<App>) -> StatusCode {
    match app.verifier.ready(Duration::ZERO).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What `main` serves; the tests serve it in front of a real authority.
pub(crate) fn service(verifier: Verifier) -> Router {
    let server = ResourceServer::new(verifier.clone()).realm("orders");
    Router::new()
        .route("/health", get(health))
        .route("/orders", get(list).post(order))
        .with_state(App { verifier, server })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [issuer, audience] = arguments.as_slice() else {
        return Err("give the issuer and the audience".into());
    };

    let verifier = Verifier::builder(issuer).audience(audience).build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, service(verifier)).await?;
    Ok(())
}
