//! Fetching with `reqwest`, on tokio.

use std::pin::Pin;

use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, DATE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Response, redirect};

use super::{Fetch, FetchError, FetchRequest, FetchResponse};
use crate::builder::BuildError;
use crate::url::is_loopback;

pub(crate) struct Reqwest {
    client: Client,
    /// Plain http is safe only if it does not leave the machine, so no proxy is asked for it.
    direct: Client,
}

impl Reqwest {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let build = |direct: bool| {
            let client = Client::builder()
                .user_agent(concat!("attesto-verifier/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                // Another crate may have turned these features on.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate();
            if direct { client.no_proxy().build() } else { client.build() }
        };
        let client = |direct| build(direct).map_err(|error| BuildError::HttpClient(with_causes(&error)));
        Ok(Self { client: client(false)?, direct: client(true)? })
    }

    async fn send(&self, request: FetchRequest<'_>) -> Result<FetchResponse, FetchError> {
        let client = if is_loopback(request.url) { &self.direct } else { &self.client };
        // A shared cache may lag behind a rotation by its max-age; it has to ask the issuer.
        let mut get = client.get(request.url).timeout(request.timeout).header(CACHE_CONTROL, "no-cache");
        if let Some(etag) = request.etag {
            get = get.header(IF_NONE_MATCH, etag);
        }
        if let Some(token) = request.access_token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| FetchError::new("the access token for the feed is no header value"))?;
            value.set_sensitive(true);
            get = get.header(AUTHORIZATION, value);
        }
        let response = get.send().await.map_err(|error| FetchError::new(with_causes(&error)))?;
        let header = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (etag, cache_control, date) = (header(ETAG), header(CACHE_CONTROL), header(DATE));
        let status = response.status().as_u16();
        Ok(FetchResponse {
            status,
            etag,
            cache_control,
            date,
            body: body(response, request.max_bytes).await?,
        })
    }
}

impl Fetch for Reqwest {
    fn get<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
        Box::pin(self.send(request))
    }
}

/// Reads the body, and stops as soon as it is too large.
async fn body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::new(with_causes(&error)))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(FetchError::too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `reqwest` hides what went wrong in the chain of causes.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = text + ": " + &error.to_string();
        cause = error.source();
    }
    text
}
