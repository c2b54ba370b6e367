//! Fetching with `ureq`, on the thread that asks.

use std::future::ready;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderName;
use http::header::{AUTHORIZATION, CACHE_CONTROL, DATE, ETAG, IF_NONE_MATCH};
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

use super::{Fetch, FetchError, FetchRequest, FetchResponse};
use crate::url::is_loopback;

pub(crate) struct Ureq {
    agent: Agent,
    /// Plain http is safe only if it does not leave the machine, so no proxy is asked for it.
    direct: Agent,
}

impl Ureq {
    pub(crate) fn new() -> Self {
        Self { agent: config().build().new_agent(), direct: config().proxy(None).build().new_agent() }
    }

    fn send(&self, request: FetchRequest<'_>) -> Result<FetchResponse, FetchError> {
        let agent = if is_loopback(request.url) { &self.direct } else { &self.agent };
        // A shared cache may lag behind a rotation by its max-age; it has to ask the issuer.
        let mut get = agent.get(request.url).header(CACHE_CONTROL, "no-cache");
        if let Some(etag) = request.etag {
            get = get.header(IF_NONE_MATCH, etag);
        }
        if let Some(token) = request.access_token {
            get = get.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let get = get.config().timeout_global(Some(request.timeout)).build();
        let mut response = get.call().map_err(FetchError::new)?;
        let header = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (etag, cache_control, date) = (header(ETAG), header(CACHE_CONTROL), header(DATE));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let limit = u64::try_from(request.max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        response.body_mut().as_reader().take(limit).read_to_end(&mut body).map_err(FetchError::new)?;
        if body.len() > request.max_bytes {
            return Err(FetchError::too_large(request.max_bytes));
        }
        Ok(FetchResponse { status, etag, cache_control, date, body })
    }
}

impl Fetch for Ureq {
    fn get<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
        Box::pin(ready(self.send(request)))
    }
}

fn config() -> ConfigBuilder<AgentScope> {
    #[cfg(feature = "aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc"))]
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build();
    Agent::config_builder()
        .user_agent(concat!("attesto-verifier/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
}
