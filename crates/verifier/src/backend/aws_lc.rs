use attesto_token::{Algorithm, Jwk, PublicKey, RsaPublicKey};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters,
};

/// A public key that is parsed once and verifies often.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// `None` for a key that is none: a point off the curve P-256, or the wrong kind for its algorithm.
    pub(crate) fn new(jwk: &Jwk) -> Option<Self> {
        let parsed = match (jwk.algorithm, &jwk.key) {
            (Algorithm::Rs256, PublicKey::Rsa(key)) => rsa(key, &RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Ps256, PublicKey::Rsa(key)) => rsa(key, &RSA_PSS_2048_8192_SHA256),
            (Algorithm::Es256, PublicKey::Ec(key)) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed()).ok()
            }
            (Algorithm::EdDsa, PublicKey::Okp(key)) => ParsedPublicKey::new(&ED25519, key.x()).ok(),
            _ => None,
        };
        parsed.map(Self)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn rsa(key: &RsaPublicKey, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
    PublicKeyComponents { n: &key.n, e: &key.e }.to_parsed_public_key(parameters).ok()
}
