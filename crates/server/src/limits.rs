use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use serde_json::json;

/// Names and values of all headers together, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Refuses requests whose headers are larger than any honest client's (RFC 6585 §5).
pub async fn limit_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        let body = json!({"detail": "Request header fields too large."});
        let refused = HttpResponse::RequestHeaderFieldsTooLarge().json(body);
        return Ok(request.into_response(refused).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
