use std::io::IsTerminal as _;
use std::str::FromStr;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage as _};
use tracing::{Level, Span, field};
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is text or json"),
        }
    }
}

/// Whether a text is a filter of what is logged: `info`, or `warn,attesto_server=debug`.
pub(crate) fn check_filter(text: &str) -> Result<String, String> {
    let known = EnvFilter::try_new(text).map(|_| text.to_owned());
    known.map_err(|_| {
        "is a level (error, warn, info, debug, trace), or such as \"warn,attesto_server=debug\"".to_owned()
    })
}

/// Writes the log to standard error, so that standard output stays the command's own. A reader that went away stops
/// nothing but the log.
pub fn log_to_stderr(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_default();
    // Colours are for people; a file or a service manager would keep the escape sequences.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // A second call leaves the first one's choice.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// The span that every log line of a request stands in: its identifier, method and path. Neither the query nor a
/// header, for both can hold secrets.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let request_id = request.extensions().get::<RequestId>().copied().map(field::display);
        // Of the highest level, so that an error line has it whatever is filtered out.
        tracing::error_span!(
            "request",
            request_id,
            method = %request.method(),
            path = request.path(),
            status = field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        // No other line has the status, and it is written out when it is recorded.
        if !tracing::enabled!(Level::INFO) {
            return;
        }
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        span.in_scope(|| tracing::info!("answered"));
    }
}

/// Tells the caller the identifier under which the log knows the request.
pub fn name_request<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let request_id = request.extensions().get::<RequestId>().copied();
    let answering = service.call(request);
    async move {
        let mut response = answering.await?;
        if let Some(value) = request_id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        Ok(response)
    }
}
