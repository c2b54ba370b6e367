use attesto_core::SigningAlgorithm;
use attesto_token::{CompactJws, Jwk, PublicKey};
use futures_util::FutureExt as _;
use ring::error::Unspecified;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::json;

use crate::error::SelfTestFailed;
use crate::private::PrivateKey;
use crate::rsa_bits::RsaBits;
use crate::signer::{OpenKey, sign_jws};

/// Everybody knows it: it signs nothing that anybody gets. Making another one takes longer than all else of a start.
const RSA_KEY: &[u8] = include_bytes!("self_test_rsa.pk8");

/// Signs with a key of every algorithm, the way tokens are signed, and verifies with a second implementation (ring). A
/// server runs it before it is ready.
pub fn self_test() -> Result<(), SelfTestFailed> {
    SigningAlgorithm::ALL.into_iter().try_for_each(test)
}

fn test(algorithm: SigningAlgorithm) -> Result<(), SelfTestFailed> {
    let key = test_key(algorithm).ok_or(SelfTestFailed::Generate)?;
    let public = key.public_jwk().ok_or(SelfTestFailed::Generate)?;
    let signer = OpenKey::new(public.clone(), key)?;
    // A key in this process signs at once.
    let token = sign_jws(&signer, "JWT", &json!({})).now_or_never().ok_or(SelfTestFailed::Verify)??;

    let jws = CompactJws::split(&token).map_err(|_| SelfTestFailed::Verify)?;
    let signature = jws.signature().map_err(|_| SelfTestFailed::Verify)?;
    verify(&public, jws.signing_input.as_bytes(), &signature).map_err(|_| SelfTestFailed::Verify)
}

fn test_key(algorithm: SigningAlgorithm) -> Option<PrivateKey> {
    match algorithm {
        SigningAlgorithm::Rs256 => PrivateKey::from_pkcs8(algorithm, RSA_KEY),
        SigningAlgorithm::Es256 => PrivateKey::generate(algorithm, RsaBits::B2048).ok(),
    }
}

pub(crate) fn verify(public: &Jwk, message: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
    match &public.key {
        PublicKey::Rsa(key) => RsaPublicKeyComponents { n: &key.n, e: &key.e }.verify(
            &RSA_PKCS1_2048_8192_SHA256,
            message,
            signature,
        ),
        PublicKey::Ec(key) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed()).verify(message, signature)
        }
        _ => Err(Unspecified),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_process_passes_as_often_as_it_is_asked() {
        assert_eq!((self_test(), self_test()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_wrong_signature_would_be_noticed() {
        let keys = SigningAlgorithm::ALL.map(|algorithm| {
            let generate = || PrivateKey::generate(algorithm, RsaBits::B2048).unwrap();
            (generate(), generate())
        });
        for (key, another) in &keys {
            let (public, signature) = (key.public_jwk().unwrap(), key.sign(b"message").unwrap());
            assert!(verify(&public, b"message", &signature).is_ok());
            for (message, signature) in [
                (&b"another"[..], &signature[..]),
                (b"message", &another.sign(b"message").unwrap()),
                (b"message", &signature[1..]),
                (b"message", b""),
            ] {
                assert!(verify(&public, message, signature).is_err());
            }
        }
        let [(rsa, _), (ec, _)] = &keys;
        assert!(verify(&rsa.public_jwk().unwrap(), b"message", &ec.sign(b"message").unwrap()).is_err());
        assert!(verify(&ec.public_jwk().unwrap(), b"message", &rsa.sign(b"message").unwrap()).is_err());
    }
}
