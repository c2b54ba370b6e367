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

/// Signs with a fresh key of every algorithm, the way tokens are signed, and verifies with a second implementation
/// (ring). A server runs it before it is ready.
pub fn self_test() -> Result<(), SelfTestFailed> {
    SigningAlgorithm::ALL.into_iter().try_for_each(test)
}

fn test(algorithm: SigningAlgorithm) -> Result<(), SelfTestFailed> {
    let key = PrivateKey::generate(algorithm, RsaBits::B2048).map_err(|_| SelfTestFailed::Generate)?;
    let public = key.public_jwk().ok_or(SelfTestFailed::Generate)?;
    let signer = OpenKey::new(public.clone(), key)?;
    // A key in this process signs at once.
    let token = sign_jws(&signer, "JWT", &json!({})).now_or_never().ok_or(SelfTestFailed::Verify)??;

    let jws = CompactJws::split(&token).map_err(|_| SelfTestFailed::Verify)?;
    let signature = jws.signature().map_err(|_| SelfTestFailed::Verify)?;
    verify(&public, jws.signing_input.as_bytes(), &signature).map_err(|_| SelfTestFailed::Verify)
}

fn verify(public: &Jwk, message: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
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
    #[test]
    fn a_sound_process_passes_as_often_as_it_is_asked() {
        assert_eq!((super::self_test(), super::self_test()), (Ok(()), Ok(())));
    }
}
