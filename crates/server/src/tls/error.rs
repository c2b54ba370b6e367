use std::io;
use std::path::PathBuf;

/// Why certificate and key cannot be used. One line each, which names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting}: {}: cannot be read ({reason})", path.display())]
    Unreadable {
        /// Which.
        setting: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// Others have access to the key.
    #[error(
        "tls_key: {}: is open to other users (mode {mode:04o}); {remedy}, and replace the key if one of them may have read it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What closes it.
        remedy: &'static str,
    },
    /// There is nothing that a client could be shown.
    #[error("tls_certificate: {}: holds no certificate in PEM ({reason})", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// There is nothing that signs.
    #[error("tls_key: {}: holds no private key in PEM that is of use for TLS ({reason})", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// The two do not belong together.
    #[error("tls_key: {}: is not the key of the first certificate in tls_certificate", path.display())]
    OtherKey {
        /// The file of the key.
        path: PathBuf,
    },
    /// The library refuses.
    #[error("TLS cannot be had: {0}")]
    Unusable(String),
}
