use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpRequest, HttpResponse, Resource};
use serde_json::json;

use super::error::SimpleJwtError;
use crate::app::App;
use crate::metrics::Route;

/// An endpoint of the dialect, with and without the trailing slash. Two resources, for one with two paths is found by a
/// regular expression, which everything pays that is looked for behind it.
pub fn route(routes: &mut ServiceConfig, route: Route, endpoint: impl Fn() -> actix_web::Route) {
    for path in [route.path().to_owned(), format!("{}/", route.path())] {
        routes.service(resource(route, &path).route(endpoint()));
    }
}

/// Content negotiation before anything else, the headers that every answer carries, and OPTIONS and 405 for what is not
/// POST.
fn resource(
    route: Route,
    path: &str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    web::resource(path)
        .app_data(route)
        .default_service(web::to(other_method))
        .wrap(from_fn(negotiate))
        .wrap_fn(count_refusals)
        .wrap(
            DefaultHeaders::new()
                .add((header::ALLOW, "POST, OPTIONS"))
                .add((header::VARY, "Accept"))
                // RFC 6749 §5.1; errors say nothing worth keeping either.
                .add((header::CACHE_CONTROL, "no-store"))
                .add((header::PRAGMA, "no-cache")),
        )
}

/// Everything is answered in JSON: whoever cannot take that is told so before the body is looked at.
async fn negotiate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !accepts_json(request.headers()) {
        let refused = SimpleJwtError::NotAcceptable.respond();
        return Ok(request.into_response(refused).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// Counts what was refused, by its class.
fn count_refusals<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let app = request.app_data::<web::Data<App>>().cloned();
    let answering = service.call(request);
    async move {
        let response = answering.await?;
        let error = response.response().error().and_then(Error::as_error::<SimpleJwtError>);
        if let (Some(app), Some(class)) = (app, error.and_then(SimpleJwtError::class)) {
            app.counts.tokens.refused(class);
        }
        Ok(response)
    }
}

/// Several lines are one list (RFC 9110 §5.3); none at all accepts everything.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::ACCEPT).peekable();
    lines.peek().is_none()
        || lines.filter_map(|line| line.to_str().ok()).any(|line| line.split(',').any(takes_json))
}

fn takes_json(range: &str) -> bool {
    let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(range.as_str(), "*/*" | "application/*" | "application/json")
}

async fn other_method(request: HttpRequest) -> Result<HttpResponse, SimpleJwtError> {
    if request.method() == Method::OPTIONS {
        return Ok(HttpResponse::Ok().json(json!({
            "name": "Token",
            "description": "",
            "renders": ["application/json"],
            "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        })));
    }
    Err(SimpleJwtError::MethodNotAllowed(request.method().to_string()))
}

#[cfg(test)]
mod tests {
    use super::takes_json;

    #[test]
    fn media_ranges() {
        for range in
            ["*/*", "application/json", " application/json; q=0.5", "application/*", "APPLICATION/JSON"]
        {
            assert!(takes_json(range), "{range}");
        }
        for range in ["text/html", "application/xml", "", "application/json+x", "*"] {
            assert!(!takes_json(range), "{range}");
        }
    }
}
