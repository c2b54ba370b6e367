use attesto_token::{Algorithm, Jwk, PublicKey};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

/// A public key that is parsed once and verifies often.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// `None` for a key that is none: a point off the curve, or the wrong kind for its algorithm.
    pub(crate) fn new(jwk: &Jwk) -> Option<Self> {
        let parsed = match (jwk.algorithm, &jwk.key) {
            (Algorithm::Rs256, PublicKey::Rsa(key)) => PublicKeyComponents { n: &key.n, e: &key.e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .ok(),
            (Algorithm::Es256, PublicKey::Ec(key)) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed()).ok()
            }
            _ => None,
        };
        parsed.map(Self)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}
