use actix_web::web::{self, ReqData};
use actix_web::{App, HttpServer};
use attesto_verifier::{
    Authenticated, Denied, ProtectedResource, ResourceServer, Verified, VerifierMiddleware,
};
use serde_json::Value;

use super::wire::{Request, Service};
use super::{bearer, good, orders, server};

async fn subject(user: Authenticated<Value>) -> String {
    user.std.subject().to_owned()
}

macro_rules! start {
    ($app:expr) => {{
        let server = HttpServer::new(move || $app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        Service::Loopback(address)
    }};
}

pub(crate) fn extractor(server: &ResourceServer) -> Service {
    let server = server.clone();
    let resource = ProtectedResource::new("https://api.example/orders").unwrap();
    let resource = resource.authorization_server("https://auth.example").scopes(&["orders:read"]);
    start!(App::new().app_data(server.clone()).service(resource.clone()).route("/orders", web::to(subject)))
}

pub(crate) fn middleware(server: &ResourceServer) -> Service {
    async fn subject(user: ReqData<Verified<Value>>) -> String {
        user.std.subject().to_owned()
    }
    let middleware = VerifierMiddleware::<Value>::new(server.clone());
    start!(App::new().route("/orders", web::to(subject)).wrap(middleware.clone()))
}

#[tokio::test]
async fn a_handler_asks_for_a_scope() {
    async fn cancel(user: Authenticated<Value>) -> Result<&'static str, Denied> {
        user.require_scope("orders:write")?;
        user.require_scope("orders:cancel")?;
        Ok("cancelled")
    }
    let server = server();
    let service = start!(App::new().app_data(server.clone()).route("/orders", web::get().to(cancel)));
    super::assert_lacks_cancel(&service.ask(&bearer(&good())).await);
}

#[tokio::test]
async fn a_forgotten_verifier_lets_nobody_through() {
    let service = start!(App::new().route("/orders", web::get().to(subject)));
    for request in [bearer(&good()), orders()] {
        let answer = service.ask(&request).await;
        assert_eq!(answer.status, 500);
        assert_eq!(
            answer.body,
            "no ResourceServer found: add .app_data(ResourceServer::new(verifier)), not within web::Data"
        );
    }
}

#[tokio::test]
async fn the_innermost_verifier_decides() {
    let (outer, inner) = (server(), server().require_scopes(&["admin"]));
    let service = start!({
        let admin = web::scope("/admin").app_data(inner.clone()).route("/orders", web::get().to(subject));
        App::new().app_data(outer.clone()).service(admin).route("/orders", web::get().to(subject))
    });
    assert_eq!(service.ask(&bearer(&good())).await.status, 200);
    let admin = Request::new("GET", "/admin/orders").authorization(format!("Bearer {}", good()));
    assert_eq!(service.ask(&admin).await.status, 403);
}
