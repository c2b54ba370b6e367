use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use attesto_core::Digest;
use attesto_keyring::{Exposure, exposure};
use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::{TlsError, TlsFiles};

/// Longer than any chain.
const MAX_BYTES: u64 = 1024 * 1024;

/// A certificate and its key.
pub struct Pair {
    pub certified: Arc<CertifiedKey>,
    /// In seconds since 1970.
    pub not_after: u64,
    /// Of both files, to know them again.
    pub digest: [Digest; 2],
}

impl Pair {
    /// Reads a pair that belongs together.
    pub fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain_pem = read_certificate(&files.certificate)?;
        let key_pem = read_key(&files.key)?;
        let (chain, not_after) = parse_chain(&chain_pem, &files.certificate)?;
        let certified = certify(chain, &key_pem, &files.key, provider)?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after,
            digest: [Digest::of(&chain_pem), Digest::of(&key_pem)],
        })
    }
}

fn parse_chain(pem: &[u8], path: &Path) -> Result<(Vec<CertificateDer<'static>>, u64), TlsError> {
    let none = |reason: String| TlsError::NoCertificate { path: path.to_owned(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|cause| none(cause.to_string()))?;
    let first = chain.first().ok_or_else(|| none("there is no such section".to_owned()))?;
    let first = Certificate::from_der(first).map_err(|cause| none(cause.to_string()))?;
    let not_after = first.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
    Ok((chain, not_after))
}

fn certify(
    chain: Vec<CertificateDer<'static>>,
    key_pem: &[u8],
    path: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let none = |reason: String| TlsError::NoKey { path: path.to_owned(), reason };
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|cause| none(cause.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|cause| match cause {
        Error::InconsistentKeys(_) => TlsError::OtherKey { path: path.to_owned() },
        other => none(other.to_string()),
    })
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable =
        |reason| TlsError::Unreadable { setting: "tls_certificate", path: path.to_owned(), reason };
    read(File::open(path).map_err(unreadable)?).map_err(unreadable)
}

fn read_key(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |reason| TlsError::Unreadable { setting: "tls_key", path: path.to_owned(), reason };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that nothing can be put in its place in between.
    if let Some(Exposure { mode, remedy }) = exposure(&file.metadata().map_err(unreadable)?) {
        return Err(TlsError::Exposed { path: path.to_owned(), mode, remedy });
    }
    read(file).map_err(unreadable)
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(content)
}
