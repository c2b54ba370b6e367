use attesto_token::{Algorithm, Jwk, PublicKey};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

/// A public key that is parsed once and verifies often.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    pub(crate) fn new(jwk: &Jwk) -> Option<Self> {
        match (jwk.algorithm, &jwk.key) {
            (Algorithm::Rs256, PublicKey::Rsa(key)) => PublicKeyComponents { n: &key.n, e: &key.e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .ok()
                .map(Self),
            _ => None,
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}
