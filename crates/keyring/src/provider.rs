//! How `jsonwebtoken` signs in this process.
//!
//! Its own providers keep the private key in every `EncodingKey` and parse and check it anew for every token, which
//! costs more than the signature. Ours keeps parsed keys here, and an `EncodingKey` carries only the number under
//! which one is found.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Signer};
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::error::ProviderError;
use crate::private::PrivateKey;

/// A parsed private key that `jsonwebtoken` can sign with for as long as this lives.
pub(crate) struct KeyHandle {
    number: u64,
    encoding_key: EncodingKey,
}

impl KeyHandle {
    pub(crate) fn new(key: PrivateKey) -> Result<Self, ProviderError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        install()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let encoding_key = match key {
            PrivateKey::Rsa(_) => EncodingKey::from_rsa_der(&number.to_be_bytes()),
            PrivateKey::Ec(_) => EncodingKey::from_ec_der(&number.to_be_bytes()),
        };
        KEYS.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(key));
        Ok(Self { number, encoding_key })
    }

    pub(crate) fn encoding_key(&self) -> &EncodingKey {
        &self.encoding_key
    }
}

impl Drop for KeyHandle {
    fn drop(&mut self) {
        KEYS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

static KEYS: LazyLock<RwLock<HashMap<u64, Arc<PrivateKey>>>> = LazyLock::new(RwLock::default);

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    // Tokens are checked by attesto-verifier.
    verifier_factory: |_, _| Err(unsupported()),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

fn install() -> Result<(), ProviderError> {
    // `install_default` succeeds once in a process, and does not say whose provider was first.
    static INSTALLED: OnceLock<bool> = OnceLock::new();

    let ours = *INSTALLED.get_or_init(|| PROVIDER.install_default().is_ok());
    if ours { Ok(()) } else { Err(ProviderError) }
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    let number = key.as_bytes().try_into().map_err(|_| new_error(ErrorKind::InvalidKeyFormat))?;
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    let key = keys.get(&u64::from_be_bytes(number)).ok_or_else(|| new_error(ErrorKind::InvalidKeyFormat))?;
    match (algorithm, key.as_ref()) {
        (Algorithm::RS256, PrivateKey::Rsa(_)) | (Algorithm::ES256, PrivateKey::Ec(_)) => {
            Ok(Box::new(OneKey { algorithm, key: Arc::clone(key) }))
        }
        _ => Err(unsupported()),
    }
}

fn unsupported() -> Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

struct OneKey {
    algorithm: Algorithm,
    key: Arc<PrivateKey>,
}

impl Signer<Vec<u8>> for OneKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        self.key.sign(message).map_err(signature::Error::from_source)
    }
}

impl JwtSigner for OneKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use attesto_core::SigningAlgorithm;
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
    use jsonwebtoken::{DecodingKey, Header, crypto, encode};
    use serde_json::json;

    use super::*;
    use crate::fixture::{FIRST, KEKS};
    use crate::rsa_bits::RsaBits;
    use crate::seal;

    const KINDS: [(SigningAlgorithm, Algorithm); 2] =
        [(SigningAlgorithm::Rs256, Algorithm::RS256), (SigningAlgorithm::Es256, Algorithm::ES256)];

    fn sign(algorithm: Algorithm, key: &EncodingKey) -> Result<String, ErrorKind> {
        crypto::sign(b"message", key, algorithm).map_err(Error::into_kind)
    }

    fn handle(algorithm: SigningAlgorithm) -> KeyHandle {
        KeyHandle::new(PrivateKey::generate(algorithm, RsaBits::B2048).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_forgotten_with_its_handle() {
        for (kind, algorithm) in KINDS {
            let (forgotten, kept) = (handle(kind), handle(kind));
            let left_over = forgotten.encoding_key().clone();
            assert!(sign(algorithm, &left_over).is_ok());
            let key = Arc::downgrade(&KEYS.read().unwrap()[&forgotten.number]);
            drop(forgotten);
            assert!(key.upgrade().is_none(), "the private key is still in memory");
            assert!(matches!(sign(algorithm, &left_over), Err(ErrorKind::InvalidKeyFormat)));
            assert!(sign(algorithm, kept.encoding_key()).is_ok());
        }
    }

    #[test]
    fn an_encoding_key_holds_a_number_and_no_key() {
        for (kind, _) in KINDS {
            assert_eq!(handle(kind).encoding_key().as_bytes().len(), 8);
        }
    }

    /// `jsonwebtoken` compares the two families itself before it encodes a token.
    #[test]
    fn an_encoding_key_is_of_the_family_of_its_algorithm() {
        for (kind, algorithm) in KINDS {
            assert!(encode(&Header::new(algorithm), &json!({}), handle(kind).encoding_key()).is_ok());
        }
    }

    #[test]
    fn what_is_no_handle_does_not_sign() {
        install().unwrap();
        for (row, algorithm) in [(&FIRST.rows[0], Algorithm::RS256), (&FIRST.rows[2], Algorithm::ES256)] {
            let private = seal::open(row.sealed_private_key.as_ref().unwrap(), row, KEKS.sealing()).unwrap();
            for bytes in [&private[..], b"", b"1234567", b"12345678", b"123456789"] {
                for key in [EncodingKey::from_rsa_der(bytes), EncodingKey::from_ec_der(bytes)] {
                    let signed = sign(algorithm, &key);
                    assert!(matches!(signed, Err(ErrorKind::InvalidKeyFormat)), "{} bytes", bytes.len());
                }
            }
        }
    }

    #[test]
    fn each_kind_of_key_signs_with_its_own_algorithm_only() {
        for (kind, own) in KINDS {
            let handle = handle(kind);
            for algorithm in [
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
                Algorithm::ES256,
                Algorithm::ES384,
                Algorithm::EdDSA,
                Algorithm::HS256,
            ] {
                match sign(algorithm, handle.encoding_key()) {
                    Ok(_) => assert_eq!(algorithm, own, "{kind}"),
                    Err(refused) => {
                        assert_ne!(algorithm, own, "{kind}");
                        assert!(matches!(refused, ErrorKind::UnsupportedAlgorithm), "{kind} {algorithm:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn everything_but_signing_is_refused_without_a_panic() {
        let handles = KINDS.map(|(kind, _)| handle(kind));
        let secret = (EncodingKey::from_secret(b"secret"), DecodingKey::from_secret(b"secret"));
        assert!(sign(Algorithm::HS256, &secret.0).is_err());
        assert!(crypto::verify("c2ln", b"message", &secret.1, Algorithm::HS256).is_err());
        for key in [
            handles[0].encoding_key().clone(),
            handles[1].encoding_key().clone(),
            EncodingKey::from_ed_der(b"der"),
        ] {
            assert!(Jwk::from_encoding_key(&key, Algorithm::RS256).is_err(), "{:?}", key.family());
        }
        let jwk = Jwk::from_encoding_key(&secret.0, Algorithm::HS256).unwrap();
        assert!(jwk.thumbprint(ThumbprintHash::SHA256).is_err());
        assert!((PROVIDER.key_utils.rsa_pub_components_from_public_key)(b"der").is_err());
    }
}
