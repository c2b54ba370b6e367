use actix_web::body::EitherBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::{Error, HttpResponse};
use serde_json::json;

/// Names and values of all headers together, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Refuses requests whose headers are larger than any honest client's (RFC 6585 §5).
pub fn limit_headers<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<EitherBody<B>>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let answering = if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        let body = json!({"detail": "Request header fields too large."});
        Err(request.into_response(HttpResponse::RequestHeaderFieldsTooLarge().json(body)))
    } else {
        Ok(service.call(request))
    };
    async {
        match answering {
            Ok(answering) => answering.await.map(ServiceResponse::map_into_left_body),
            Err(refused) => Ok(refused.map_into_right_body()),
        }
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
