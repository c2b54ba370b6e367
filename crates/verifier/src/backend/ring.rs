use attesto_token::{Algorithm, Jwk, PublicKey};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

/// A public key. `ring` offers no parsed form of one, so each verification parses it again.
pub(crate) struct VerifyingKey(RsaPublicKeyComponents<Vec<u8>>);

impl VerifyingKey {
    pub(crate) fn new(jwk: &Jwk) -> Option<Self> {
        match (jwk.algorithm, &jwk.key) {
            (Algorithm::Rs256, PublicKey::Rsa(key)) => {
                Some(Self(RsaPublicKeyComponents { n: key.n.clone(), e: key.e.clone() }))
            }
            _ => None,
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}
