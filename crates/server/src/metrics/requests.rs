use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::web;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::{Durations, Histogram, Histograms, durations};
use crate::app::App;

/// A route of the product, as it is counted: whatever a caller makes of the path, there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /api/token/`
    Obtain,
    /// `POST /api/token/refresh/`
    Refresh,
    /// `POST /api/token/verify/`
    Verify,
    /// `POST /api/token/blacklist/`
    Blacklist,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /.well-known/oauth-authorization-server`
    AuthorizationServer,
    /// `GET /revocations`
    Revocations,
    /// `GET /revocations/keys`
    RevocationKeys,
    /// `GET /livez`
    Live,
    /// `GET /readyz`
    Ready,
    /// `GET /metrics`
    Metrics,
    /// No path of ours, or refused before anybody looked which.
    None,
}

impl Route {
    const ALL: [Self; 12] = [
        Self::Obtain,
        Self::Refresh,
        Self::Verify,
        Self::Blacklist,
        Self::Jwks,
        Self::AuthorizationServer,
        Self::Revocations,
        Self::RevocationKeys,
        Self::Live,
        Self::Ready,
        Self::Metrics,
        Self::None,
    ];

    /// The path, without the trailing slash that some may have.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Obtain => "/api/token",
            Self::Refresh => "/api/token/refresh",
            Self::Verify => "/api/token/verify",
            Self::Blacklist => "/api/token/blacklist",
            Self::Jwks => "/.well-known/jwks.json",
            Self::AuthorizationServer => "/.well-known/oauth-authorization-server",
            Self::Revocations => "/revocations",
            Self::RevocationKeys => "/revocations/keys",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::None => "none",
        }
    }

    /// What it is there for; shown from the start, so that a first failure is seen as a rise.
    const fn own_method(self) -> &'static str {
        match self {
            Self::Obtain | Self::Refresh | Self::Verify | Self::Blacklist => "POST",
            _ => "GET",
        }
    }
}

/// Any other method is one of these to us.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", "other"];

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The requests that were answered, and how long that took.
pub struct Requests([OfRoute; Route::ALL.len()]);

struct OfRoute {
    answered: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    durations: Durations,
}

impl Requests {
    /// None yet.
    pub const fn new() -> Self {
        Self([const { OfRoute::new() }; Route::ALL.len()])
    }

    fn count(&self, route: Route, method: &Method, status: StatusCode, took: Duration) {
        let of_route = &self.0[route as usize];
        of_route.answered[place_of(method)][class_of(status)].fetch_add(1, Ordering::Relaxed);
        of_route.durations.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let answered = Family::<_, Counter>::default();
        for (route, method, status, count) in self.answered() {
            let labels = [("route", route.path()), ("method", method), ("status", status)];
            answered.get_or_create(&labels).inc_by(count);
        }
        registry.register("http_requests", "Requests that were answered", answered);
        let durations = Route::ALL.map(|route| {
            let durations = self.0[route as usize].durations.counted();
            ([("route", route.path())], Histogram::of_seconds(durations))
        });
        let help =
            "From the head of a request until its answer begins, the wait for news of the feed included";
        let durations = Histograms(durations.into());
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, durations);
    }

    fn answered(&self) -> impl Iterator<Item = (Route, &'static str, &'static str, u64)> {
        let methods =
            Route::ALL.into_iter().flat_map(|route| (0..METHODS.len()).map(move |method| (route, method)));
        methods.flat_map(|(route, method)| {
            let counts = self.0[route as usize].answered[method].iter().zip(CLASSES);
            counts.filter_map(move |(count, class)| {
                let (count, method) = (count.load(Ordering::Relaxed), METHODS[method]);
                (count > 0 || method == route.own_method()).then_some((route, method, class, count))
            })
        })
    }
}

impl OfRoute {
    const fn new() -> Self {
        Self {
            answered: [const { [const { AtomicU64::new(0) }; CLASSES.len()] }; METHODS.len()],
            durations: durations(),
        }
    }
}

fn place_of(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::OPTIONS => 3,
        _ => 4,
    }
}

fn class_of(status: StatusCode) -> usize {
    match status.as_u16() {
        ..300 => 0,
        300..400 => 1,
        400..500 => 2,
        500.. => 3,
    }
}

/// Counts every request once it is answered. Whoever hangs up before that is not counted.
pub fn count_requests<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let begun = Instant::now();
    let app = request.app_data::<web::Data<App>>().cloned();
    let method = request.method().clone();
    let answering = service.call(request);
    async move {
        let answer = answering.await;
        if let Some(app) = app {
            let (route, status) = match &answer {
                Ok(response) => (response.request().app_data::<Route>().copied(), response.status()),
                Err(error) => (None, error.as_response_error().status_code()),
            };
            app.counts.requests.count(route.unwrap_or(Route::None), &method, status, begun.elapsed());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_a_place_of_its_own() {
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, place, "{route:?}");
        }
    }
}
