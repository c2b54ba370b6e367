use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::fn_guard;
use actix_web::http::ConnectionType;
use actix_web::web::{self, ServiceConfig, get, head, post};
use actix_web::{Error, HttpResponse, Resource};
use serde_json::json;
use tracing_actix_web::TracingLogger;

use crate::app::App;
use crate::limits::limit_headers;
use crate::metrics::{Route, count_requests};
use crate::telemetry::{RequestSpan, name_request};
use crate::tls::insist_on_tls;
use crate::{feed, health, metrics, simplejwt, well_known};

/// Every route of the product.
fn routes(routes: &mut ServiceConfig) {
    simplejwt::route(routes, Route::Obtain, || post().to(simplejwt::obtain));
    simplejwt::route(routes, Route::Refresh, || post().to(simplejwt::refresh));
    simplejwt::route(routes, Route::Verify, || post().to(simplejwt::verify));
    simplejwt::route(routes, Route::Blacklist, || post().to(simplejwt::blacklist));
    routes
        .service(document(Route::Jwks, well_known::jwks))
        .service(document(Route::AuthorizationServer, well_known::authorization_server))
        .service(document(Route::Revocations, feed::revocations))
        .service(document(Route::RevocationKeys, feed::revocation_keys))
        .service(document(Route::Live, health::live))
        .service(document(Route::Ready, health::ready))
        .service(document(Route::Metrics, metrics::metrics).guard(fn_guard(metrics::may_see)))
        .default_service(web::to(not_found));
}

/// The whole application: routes, and what stands around all of them.
pub fn application(
    app: web::Data<App>,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    actix_web::App::new()
        .app_data(app)
        .configure(routes)
        .wrap_fn(close_when_stopping)
        .wrap_fn(limit_headers)
        .wrap_fn(name_request)
        .wrap_fn(insist_on_tls)
        .wrap_fn(count_requests)
        .wrap(TracingLogger::<RequestSpan>::new())
}

/// Something to read: GET and HEAD.
fn document<F, Args>(route: Route, handler: F) -> Resource
where
    F: actix_web::Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    web::resource(route.path()).app_data(route).route(get().to(handler.clone())).route(head().to(handler))
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"detail": "Not found."}))
}

/// A server that was asked to stop answers what it has been sent, and tells clients to go elsewhere for the rest.
fn close_when_stopping<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let answering = service.call(request);
    async {
        let mut response = answering.await?;
        // Asked afterwards: whoever waited for news may have been answered because of it.
        let app = response.request().app_data::<web::Data<App>>();
        if app.is_some_and(|app| app.stopping.is_set()) {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(response)
    }
}
