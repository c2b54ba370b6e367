use std::convert::Infallible;
use std::task::{Context, Poll};

use attesto_verifier::{ResourceServer, Verified, VerifierLayer, VerifierService};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service as _, ServiceExt, service_fn};

use super::wire::{self, Answer, Service};
use super::{good, server};

/// A service of no framework, with bodies of its own.
pub(crate) struct InProcess(BoxCloneSyncService<Request<()>, Response<String>, Infallible>);

impl InProcess {
    pub(crate) async fn ask(&self, request: &wire::Request) -> Answer {
        let Ok(response) = self.0.clone().oneshot(http_request(request)).await;
        let text = |value: &http::HeaderValue| str::from_utf8(value.as_bytes()).unwrap().to_owned();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: response.into_body(),
        }
    }
}

fn http_request(request: &wire::Request) -> Request<()> {
    let mut parts = Request::builder().method(request.method).uri(&request.target);
    for (name, value) in &request.headers {
        parts = parts.header(*name, value.as_slice());
    }
    parts.body(()).unwrap()
}

pub(crate) fn layer(server: &ResourceServer) -> Service {
    let subject = service_fn(async |request: Request<()>| {
        let user = request.extensions().get::<Verified<Value>>().expect("no request without claims");
        Ok::<_, Infallible>(Response::new(user.std.subject().to_owned()))
    });
    let layer = VerifierLayer::<Value>::new(server.clone());
    Service::InProcess(InProcess(BoxCloneSyncService::new(layer.layer(subject))))
}

/// Has no room.
#[derive(Clone)]
struct Full;

impl tower::Service<Request<()>> for Full {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("no room"))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called although it is not ready")
    }
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_not_called() {
    let mut service: VerifierService<_, Value> = VerifierLayer::new(server()).layer(Full);
    let answer = service.ready().await.map(drop);
    assert_eq!(answer, Err("no room"));
}

/// What an outer layer of another verifier found out does not count here.
#[tokio::test]
async fn the_claims_are_those_of_this_layer() {
    let subject = service_fn(async |request: Request<()>| {
        let user = request.extensions().get::<Verified<Value>>().unwrap();
        Ok::<_, Infallible>(Response::new(user.std.subject().to_owned()))
    });
    let mut service = VerifierLayer::<Value>::new(server()).layer(subject);
    let stale = crate::token::verify(&crate::token::KEY.token(&crate::token::with("sub", "stale"))).unwrap();
    let mut request =
        Request::builder().header("authorization", format!("Bearer {}", good())).body(()).unwrap();
    request.extensions_mut().insert(stale.clone());
    let Ok(answer) = service.call(request).await;
    assert_eq!(answer.body(), "42");

    let mut request = Request::new(());
    request.extensions_mut().insert(stale);
    let Ok(answer) = service.call(request).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}
