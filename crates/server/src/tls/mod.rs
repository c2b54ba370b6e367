//! TLS in the server itself, for where nothing stands before it that has it. Certificate and key are files, and are taken anew
//! when they change.

mod error;
mod expiry;
mod follow;
mod pair;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use actix_web::web;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use error::TlsError;
pub use follow::follow_certificate;
use pair::{Pair, PairPem};

use crate::app::App;

/// A year: whoever was here by TLS once comes back by nothing else (RFC 6797).
const ALWAYS_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead to one that clients know. PEM.
    pub certificate: PathBuf,
    /// The private key. PEM.
    pub key: PathBuf,
}

/// What the server shows to clients, replaced as a whole.
pub struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    pair: ArcSwap<Pair>,
    /// What lies in the files now cannot be used.
    is_behind: AtomicBool,
}

impl Tls {
    /// Reads both files.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = Pair::parse(&PairPem::read(&files)?, &files, &provider)?;
        Ok(Self { files, provider, pair: ArcSwap::from_pointee(pair), is_behind: AtomicBool::new(false) })
    }

    /// For the sockets: TLS 1.2 and 1.3.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let shown: Arc<dyn ResolvesServerCert> = Arc::new(Shown(Arc::clone(self)));
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| TlsError::Unusable(cause.to_string()))?;
        Ok(config.with_no_client_auth().with_cert_resolver(shown))
    }

    /// Until when the certificate is good, in seconds since 1970.
    pub fn not_after(&self) -> u64 {
        self.pair.load().not_after
    }

    /// Whether the files hold something that cannot be used, and the last that could is still shown.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Takes what is in the files, if it is something else; says whether it was. On failure everything stays.
    fn refresh(&self) -> Result<bool, TlsError> {
        let newer = self.newer();
        self.is_behind.store(newer.is_err(), Ordering::Relaxed);
        let newer = newer?;
        let is_new = newer.is_some();
        if let Some(pair) = newer {
            self.pair.store(Arc::new(pair));
        }
        Ok(is_new)
    }

    /// What is in the files, if it is something else. What is not is not parsed: each time would leave a copy of the key in
    /// the library's memory.
    fn newer(&self) -> Result<Option<Pair>, TlsError> {
        let pem = PairPem::read(&self.files)?;
        if pem.digest() == self.pair.load().digest {
            return Ok(None);
        }
        Pair::parse(&pem, &self.files, &self.provider).map(Some)
    }
}

/// The present pair, for whoever comes.
struct Shown(Arc<Tls>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.pair.load().certified))
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shown").field(&self.0.files).finish()
    }
}

/// Tells clients to come by TLS from now on, if they do. Behind a proxy that is the proxy's to say.
pub fn insist_on_tls<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let has_tls = request.app_data::<web::Data<App>>().is_some_and(|app| app.tls.is_some());
    let answering = service.call(request);
    async move {
        let mut response = answering.await?;
        if has_tls {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, ALWAYS_TLS);
        }
        Ok(response)
    }
}
