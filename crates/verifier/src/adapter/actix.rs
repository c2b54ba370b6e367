use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::task::{Context, Poll};

use actix_web::body::EitherBody;
use actix_web::dev::{
    AppService, HttpServiceFactory, Payload, Service, ServiceRequest, ServiceResponse, Transform,
};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, ContentType, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, guard, web};
use futures_util::future::{Either, MapOk, TryFutureExt};
use serde::de::DeserializeOwned;

use super::authenticated::Authenticated;
use super::denied::Denied;
use super::resource_server::ResourceServer;
use crate::protected_resource::ProtectedResource;

const NOT_CONFIGURED: &str =
    "no ResourceServer found: add .app_data(ResourceServer::new(verifier)), not within web::Data";

/// The [`ResourceServer`] is that of the innermost `app_data`; where there is none, the answer is a 500.
impl<C: DeserializeOwned + 'static> FromRequest for Authenticated<C> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticated(request))
    }
}

fn authenticated<C: DeserializeOwned>(request: &HttpRequest) -> Result<Authenticated<C>, actix_web::Error> {
    let server =
        request.app_data::<ResourceServer>().ok_or_else(|| ErrorInternalServerError(NOT_CONFIGURED))?;
    let verified = server.authenticate(authorization(request.headers()))?;
    Ok(Authenticated::new(verified, server.clone()))
}

/// An actix middleware that lets a request through if it has a good access token, and puts
/// [`Verified<C>`](crate::Verified) into its extensions, where a handler finds it as `ReqData<Verified<C>>`. It answers
/// every other request itself, as RFC 6750 says, and serves the document of [`ResourceServer::protected_resource`], if
/// there is one.
///
/// *Every* other request: the preflight of CORS too, which never has a token. A CORS middleware has to be outside of
/// this one, that is, wrapped around it by a later `wrap`, so that it answers first.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use attesto_verifier::{ResourceServer, Verified, Verifier, VerifierMiddleware};
///
/// #[derive(Clone, serde::Deserialize)]
/// struct Claims {
///     email: Option<String>,
/// }
///
/// async fn orders(user: web::ReqData<Verified<Claims>>) -> HttpResponse {
///     HttpResponse::Ok().body(format!("the orders of {}", user.into_inner().std.subject()))
/// }
///
/// # fn app(verifier: Verifier) {
/// let server = ResourceServer::new(verifier).require_scopes(&["orders:read"]);
/// let app = App::new()
///     .route("/orders", web::get().to(orders))
///     .wrap(VerifierMiddleware::<Claims>::new(server));
/// # }
/// ```
pub struct VerifierMiddleware<C> {
    server: ResourceServer,
    claims: PhantomData<fn() -> C>,
}

impl<C> VerifierMiddleware<C> {
    /// From a [`Verifier`](crate::Verifier), [`Verifiers`](crate::Verifiers), or a [`ResourceServer`] if there is more to say: the scopes of one part of
    /// a service, for example.
    pub fn new(server: impl Into<ResourceServer>) -> Self {
        Self { server: server.into(), claims: PhantomData }
    }
}

impl<C> Clone for VerifierMiddleware<C> {
    fn clone(&self) -> Self {
        Self::new(self.server.clone())
    }
}

impl<S, C, B> Transform<S, ServiceRequest> for VerifierMiddleware<C>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    C: DeserializeOwned + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = VerifierMiddlewareService<S, C>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(VerifierMiddlewareService { inner, server: self.server.clone(), claims: PhantomData }))
    }
}

/// A service behind a [`VerifierMiddleware`].
pub struct VerifierMiddlewareService<S, C> {
    inner: S,
    server: ResourceServer,
    claims: PhantomData<fn() -> C>,
}

impl<S, C, B> Service<ServiceRequest> for VerifierMiddlewareService<S, C>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    C: DeserializeOwned + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Either<
        Ready<Result<Self::Response, Self::Error>>,
        MapOk<S::Future, fn(S::Response) -> Self::Response>,
    >;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.own_answer(&request) {
            Some(response) => Either::Left(ready(Ok(request.into_response(response).map_into_right_body()))),
            None => Either::Right(self.inner.call(request).map_ok(ServiceResponse::map_into_left_body)),
        }
    }
}

impl<S, C: DeserializeOwned + 'static> VerifierMiddlewareService<S, C> {
    /// What is answered instead of the service, if it is not its turn.
    fn own_answer(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        if let Some(metadata) = self.server.metadata(request.method().as_str(), request.path()) {
            return Some(json(metadata));
        }
        match self.server.authenticate::<C>(authorization(request.headers())) {
            Ok(verified) => {
                request.extensions_mut().insert(verified);
                None
            }
            Err(denied) => Some(denied.error_response()),
        }
    }
}

fn authorization(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes)
}

fn json(document: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(document)
}

impl ResponseError for Denied {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).expect("every status of ours is one")
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for header in self.headers() {
            response.insert_header(header);
        }
        response.body(self.body())
    }
}

/// The document at its well-known path: `App::new().service(resource.clone())`.
impl HttpServiceFactory for ProtectedResource {
    fn register(self, config: &mut AppService) {
        let read = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        let document = self.to_json();
        let answer = move || ready(json(document.clone()));
        web::resource(self.well_known_path()).route(read.to(answer)).register(config);
    }
}
