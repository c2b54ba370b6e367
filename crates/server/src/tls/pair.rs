use std::fs::File;
use std::io::Read as _;
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
use zeroize::Zeroizing;

use super::{TlsError, TlsFiles};

/// Longer than any chain.
const MAX_CHAIN_BYTES: u64 = 1024 * 1024;

/// Longer than any key, with a chain beside it.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// What the files hold, not looked into.
pub struct PairPem {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl PairPem {
    /// Reads both files.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self { chain: read_chain(&files.certificate)?, key: read_key(&files.key)? })
    }

    /// Of both, to know them again.
    pub fn digest(&self) -> [Digest; 2] {
        [Digest::of(&self.chain), Digest::of(&self.key)]
    }
}

/// A certificate and its key.
pub struct Pair {
    pub certified: Arc<CertifiedKey>,
    /// In seconds since 1970.
    pub not_after: u64,
    /// Of what it was made from.
    pub digest: [Digest; 2],
}

impl Pair {
    /// Takes a pair that belongs together out of what `files` hold.
    pub fn parse(pem: &PairPem, files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let (chain, not_after) = parse_chain(&pem.chain, &files.certificate)?;
        let certified = certify(chain, &pem.key, &files.key, provider)?;
        Ok(Self { certified: Arc::new(certified), not_after, digest: pem.digest() })
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

fn read_chain(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable =
        |reason| TlsError::Unreadable { setting: "tls_certificate", path: path.to_owned(), reason };
    let file = File::open(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(MAX_CHAIN_BYTES).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |reason| TlsError::Unreadable { setting: "tls_key", path: path.to_owned(), reason };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that nothing can be put in its place in between.
    if let Some(Exposure { mode, remedy }) = exposure(&file.metadata().map_err(unreadable)?) {
        return Err(TlsError::Exposed { path: path.to_owned(), mode, remedy });
    }
    // It never grows, for that would leave a copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(2 * MAX_KEY_BYTES));
    file.take(MAX_KEY_BYTES as u64).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}
