use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::{StreamExt as _, stream};
use multer::Multipart;
use tokio::time::timeout;

use super::error::{FieldErrors, SimpleJwtError};
use super::json;
use super::text::{Given, char_field};

const MAX_BODY_BYTES: usize = 64 * 1024;

/// The whole body has to be there by then.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a request body: parsed once, from JSON, form or multipart, all of them checked before any credential
/// or token is looked at.
pub struct Fields<T>(T);

/// What an endpoint reads from its fields.
pub trait FromFields: Sized {
    /// Reads every field, whether or not an earlier one was refused.
    fn from_fields(fields: &mut Reader) -> Self;
}

/// Hands out fields and collects what is wrong with them.
pub struct Reader {
    given: HashMap<String, Given>,
    errors: FieldErrors,
}

impl<T> Fields<T> {
    /// The fields.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Reader {
    /// The text of a field; empty, and the request refused, if it is not acceptable.
    pub fn text(&mut self, name: &'static str) -> String {
        char_field(self.given.get(name)).unwrap_or_else(|messages| {
            self.errors.0.push((name, messages));
            String::new()
        })
    }
}

impl<T: FromFields + 'static> FromRequest for Fields<T> {
    type Error = SimpleJwtError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SimpleJwtError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = timeout(BODY_TIMEOUT, read(&request, payload));
            let body = body.await.map_err(|_| SimpleJwtError::BodyTooSlow)??;
            let mut reader = Reader { given: parse(&request, body).await?, errors: FieldErrors::default() };
            let fields = T::from_fields(&mut reader);
            if reader.errors.0.is_empty() {
                Ok(Self(fields))
            } else {
                Err(SimpleJwtError::Fields(reader.errors))
            }
        })
    }
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Bytes, SimpleJwtError> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_BODY_BYTES) {
        return Err(SimpleJwtError::BodyTooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.map_err(|_| SimpleJwtError::BodyBroken)?);
        if body.len() > MAX_BODY_BYTES {
            return Err(SimpleJwtError::BodyTooLarge);
        }
    }
    Ok(body.freeze())
}

async fn parse(request: &HttpRequest, body: Bytes) -> Result<HashMap<String, Given>, SimpleJwtError> {
    if body.is_empty() {
        return Ok(HashMap::new());
    }
    let content_type =
        request.headers().get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => json::members(&body),
        "application/x-www-form-urlencoded" => Ok(form(&body)),
        "multipart/form-data" => multipart(content_type, body).await,
        _ => Err(SimpleJwtError::UnsupportedMediaType(content_type.to_owned())),
    }
}

fn form(body: &[u8]) -> HashMap<String, Given> {
    form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Given::Text(value.into_owned().into_bytes())))
        .collect()
}

async fn multipart(content_type: &str, body: Bytes) -> Result<HashMap<String, Given>, SimpleJwtError> {
    let malformed =
        |cause: multer::Error| SimpleJwtError::Parse { format: "Multipart form", cause: cause.to_string() };
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut given = HashMap::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.map_err(malformed)?;
        given.insert(name, if is_file { Given::NotText } else { Given::Text(bytes.into()) });
    }
    Ok(given)
}
