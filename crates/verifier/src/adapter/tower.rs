use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde::de::DeserializeOwned;
use tower_layer::Layer;
use tower_service::Service;

use super::denied::Denied;
use super::resource_server::ResourceServer;

/// A tower layer that lets a request through if it has a good access token, and puts
/// [`Verified<C>`](crate::Verified) into its extensions. It answers every other request itself, as RFC 6750 says, and
/// serves the document of [`ResourceServer::protected_resource`], if there is one.
///
/// *Every* other request: the preflight of CORS too, which never has a token. A CORS layer has to be outside of this
/// one, so that it answers first.
///
/// In a handler of axum the claims are an `Extension<Verified<C>>`, which answers 500 where the layer was forgotten.
///
/// `C` has to be `Clone`. The body of the inner answers has to implement `From<String>`, as that of axum and `Full<Bytes>`
/// do; others are wrapped by `MapResponseBodyLayer` of tower-http.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use attesto_verifier::{ResourceServer, Verified, Verifier, VerifierLayer};
/// use axum::{Extension, Router, routing::get};
///
/// #[derive(Clone, serde::Deserialize)]
/// struct Claims {
///     email: Option<String>,
/// }
///
/// async fn orders(Extension(user): Extension<Verified<Claims>>) -> String {
///     format!("the orders of {}", user.std.subject())
/// }
///
/// # fn app(verifier: Verifier) -> Router {
/// let server = ResourceServer::new(verifier).require_scopes(&["orders:read"]);
/// let app = Router::new().route("/orders", get(orders)).layer(VerifierLayer::<Claims>::new(server));
/// # app
/// # }
/// # }
/// ```
pub struct VerifierLayer<C> {
    server: ResourceServer,
    claims: PhantomData<fn() -> C>,
}

impl<C> VerifierLayer<C> {
    /// From a [`Verifier`](crate::Verifier), [`Verifiers`](crate::Verifiers), or a [`ResourceServer`] if there is more to say.
    pub fn new(server: impl Into<ResourceServer>) -> Self {
        Self { server: server.into(), claims: PhantomData }
    }
}

impl<C> Clone for VerifierLayer<C> {
    fn clone(&self) -> Self {
        Self::new(self.server.clone())
    }
}

impl<S, C> Layer<S> for VerifierLayer<C> {
    type Service = VerifierService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifierService { inner, server: self.server.clone(), claims: PhantomData }
    }
}

/// A service behind a [`VerifierLayer`].
pub struct VerifierService<S, C> {
    inner: S,
    server: ResourceServer,
    claims: PhantomData<fn() -> C>,
}

impl<S: Clone, C> Clone for VerifierService<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), server: self.server.clone(), claims: PhantomData }
    }
}

impl<S, C, RequestBody, ResponseBody> Service<Request<RequestBody>> for VerifierService<S, C>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    C: DeserializeOwned + Clone + Send + Sync + 'static,
    ResponseBody: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<S::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if let Some(metadata) = self.server.metadata(request.method().as_str(), request.uri().path()) {
            return Either::Left(ready(Ok(json(metadata))));
        }
        match self.server.authenticate::<C>(authorization(request.headers())) {
            Ok(verified) => {
                request.extensions_mut().insert(verified);
                Either::Right(self.inner.call(request))
            }
            Err(denied) => Either::Left(ready(Ok(denied.into_http()))),
        }
    }
}

pub(super) fn authorization(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes)
}

pub(super) fn json<B: From<String>>(document: String) -> Response<B> {
    let mut response = Response::new(document.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Denied {
    pub(super) fn into_http<B: From<String>>(self) -> Response<B> {
        let mut response = Response::builder().status(self.status());
        for (name, value) in self.headers() {
            response = response.header(name, value.as_bytes());
        }
        response.body(self.body().into()).expect("no header of ours has control characters")
    }
}
