//! How answers of the issuer are fetched.

#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "ureq")]
mod ureq;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::BuildError;

/// What is built in for tasks.
#[cfg(feature = "tokio")]
pub(crate) fn for_tasks() -> Result<Arc<dyn Fetch>, BuildError> {
    #[cfg(feature = "reqwest")]
    return Ok(Arc::new(reqwest::Reqwest::new()?));
    #[cfg(not(feature = "reqwest"))]
    Err(BuildError::NoFetcher("reqwest"))
}

/// What is built in for threads.
#[cfg_attr(feature = "ureq", expect(clippy::unnecessary_wraps, reason = "without it, there is none"))]
pub(crate) fn for_threads() -> Result<Arc<dyn Fetch>, BuildError> {
    #[cfg(feature = "ureq")]
    return Ok(Arc::new(ureq::Ureq::new()));
    #[cfg(not(feature = "ureq"))]
    Err(BuildError::NoFetcher("ureq"))
}

/// Fetches what the issuer publishes: its keys, and its revocation feed.
///
/// The verifier says what and when, and judges the answer; an implementation only moves bytes. It must follow no
/// redirect to another host, and must stop reading at [`FetchRequest::max_bytes`]. That it keeps the time limit is seen
/// to, as far as its future can be dropped.
///
/// ```
/// use std::pin::Pin;
/// use attesto_verifier::{Fetch, FetchError, FetchRequest, FetchResponse};
///
/// struct FromFile(std::path::PathBuf);
///
/// impl Fetch for FromFile {
///     fn get<'a>(
///         &'a self,
///         _: FetchRequest<'a>,
///     ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
///         Box::pin(async { Ok(FetchResponse::new(200, std::fs::read(&self.0).map_err(FetchError::new)?)) })
///     }
/// }
/// ```
pub trait Fetch: Send + Sync + 'static {
    /// Sends one GET request.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if no complete answer came. An answer of any status is `Ok`.
    fn get<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>>;
}

/// One GET request.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FetchRequest<'a> {
    /// Where to. Only ever what the verifier was configured with, and the parameters of the feed.
    pub url: &'a str,
    /// For `If-None-Match`.
    pub etag: Option<&'a str>,
    /// For `Authorization: Bearer`. A secret.
    pub access_token: Option<&'a str>,
    /// The longest body that is of any use.
    pub max_bytes: usize,
    /// When an answer is of no use any more.
    pub timeout: Duration,
}

/// What came back, whatever its status.
#[derive(Clone)]
#[non_exhaustive]
pub struct FetchResponse {
    /// The HTTP status.
    pub status: u16,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The header `Cache-Control`.
    pub cache_control: Option<String>,
    /// The header `Date`.
    pub date: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. The text is for logs, and must not have the access token in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(String);

impl FetchResponse {
    /// An answer without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, etag: None, cache_control: None, date: None, body: body.into() }
    }
}

impl FetchError {
    /// The reason in words.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    pub(crate) fn timeout(after: Duration) -> Self {
        Self(format!("the request timed out after {} s", after.as_secs()))
    }

    pub(crate) fn too_large(max_bytes: usize) -> Self {
        Self(format!("the answer is larger than {} KiB", max_bytes / 1024))
    }
}

/// Without the access token.
impl fmt::Debug for FetchRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Without the body.
impl fmt::Debug for FetchResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
