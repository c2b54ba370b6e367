use ::axum::extract::{Extension, FromRef};
use ::axum::routing::{any, get};
use ::axum::{Router, serve};
use attesto_verifier::{
    Authenticated, Denied, ProtectedResource, ResourceServer, Verified, Verifier, VerifierLayer,
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::wire::Service;
use super::{bearer, good, orders, server};
use crate::token::{KEY, verifier, with};

async fn start(router: Router) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { serve(listener, router).await });
    Service::Loopback(address)
}

async fn subject(user: Authenticated<Value>) -> String {
    user.std.subject().to_owned()
}

pub(crate) async fn extractor(server: &ResourceServer) -> Service {
    let resource = ProtectedResource::new("https://api.example/orders").unwrap();
    let resource = resource.authorization_server("https://auth.example").scopes(&["orders:read"]);
    let router = Router::new()
        .route("/orders", any(subject))
        .route(resource.well_known_path(), get(resource.clone()))
        .with_state(server.clone());
    start(router).await
}

pub(crate) async fn layer(server: &ResourceServer) -> Service {
    let subject = async |Extension(user): Extension<Verified<Value>>| user.std.subject().to_owned();
    let layer = VerifierLayer::<Value>::new(server.clone());
    start(Router::new().route("/orders", any(subject)).layer(layer)).await
}

#[derive(Clone)]
struct State {
    verifier: Verifier,
}

impl FromRef<State> for ResourceServer {
    fn from_ref(state: &State) -> Self {
        Self::new(state.verifier.clone()).realm("orders")
    }
}

#[tokio::test]
async fn the_verifier_is_the_state_or_part_of_it() {
    let alone = Router::new().route("/orders", get(subject)).with_state(verifier());
    let part = Router::new().route("/orders", get(subject)).with_state(State { verifier: verifier() });
    for (router, challenge) in [(alone, r#"Bearer realm="api""#), (part, r#"Bearer realm="orders""#)] {
        let service = start(router).await;
        assert_eq!(service.ask(&bearer(&good())).await.status, 200);
        assert_eq!(service.ask(&orders()).await.header("www-authenticate"), Some(challenge));
    }
}

#[tokio::test]
async fn a_handler_asks_for_a_scope() {
    async fn cancel(user: Authenticated<Value>) -> Result<&'static str, Denied> {
        user.require_scope("orders:write")?;
        user.require_scope("orders:cancel")?;
        Ok("cancelled")
    }
    let service = start(Router::new().route("/orders", get(cancel)).with_state(server())).await;
    super::assert_lacks_cancel(&service.ask(&bearer(&good())).await);
}

#[tokio::test]
async fn a_forgotten_layer_lets_nobody_through() {
    let subject = async |Extension(user): Extension<Verified<Value>>| user.std.subject().to_owned();
    let service = start(Router::new().route("/orders", get(subject))).await;
    for request in [bearer(&good()), orders()] {
        assert_eq!(service.ask(&request).await.status, 500);
    }
}

/// A bad token is no reason to take somebody for a stranger.
#[tokio::test]
async fn who_may_come_without_a_token_may_not_come_with_a_bad_one() {
    let name = async |user: Option<Authenticated<Value>>| {
        user.map(|user| user.std.subject().to_owned()).unwrap_or_default()
    };
    let service = start(Router::new().route("/orders", get(name)).with_state(server())).await;
    for (request, status, body) in [(orders(), 200, ""), (bearer(&good()), 200, "42")] {
        let answer = service.ask(&request).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
    for (request, status) in
        [(bearer("no token"), 400), (bearer("canary"), 401), (bearer(&KEY.token(&with("exp", 1))), 401)]
    {
        assert_eq!(service.ask(&request).await.status, status);
    }
}
