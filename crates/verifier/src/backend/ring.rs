use attesto_token::{Algorithm, EcPublicKey, Jwk, PublicKey};
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

/// A public key. `ring` offers no parsed form of one, so each verification parses it again.
pub(crate) enum VerifyingKey {
    Rs256(RsaPublicKeyComponents<Vec<u8>>),
    Ps256(RsaPublicKeyComponents<Vec<u8>>),
    Es256(UnparsedPublicKey<[u8; 65]>),
    EdDsa(UnparsedPublicKey<[u8; 32]>),
}

impl VerifyingKey {
    /// `None` for a key that is none: a point off the curve P-256, or the wrong kind for its algorithm.
    pub(crate) fn new(jwk: &Jwk) -> Option<Self> {
        match (jwk.algorithm, &jwk.key) {
            (Algorithm::Rs256, PublicKey::Rsa(key)) => {
                Some(Self::Rs256(RsaPublicKeyComponents { n: key.n.clone(), e: key.e.clone() }))
            }
            (Algorithm::Ps256, PublicKey::Rsa(key)) => {
                Some(Self::Ps256(RsaPublicKeyComponents { n: key.n.clone(), e: key.e.clone() }))
            }
            (Algorithm::Es256, PublicKey::Ec(key)) if is_on_curve(key) => {
                Some(Self::Es256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed())))
            }
            (Algorithm::EdDsa, PublicKey::Okp(key)) => {
                Some(Self::EdDsa(UnparsedPublicKey::new(&ED25519, *key.x())))
            }
            _ => None,
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok(),
            Self::Ps256(key) => key.verify(&RSA_PSS_2048_8192_SHA256, message, signature).is_ok(),
            Self::Es256(key) => key.verify(message, signature).is_ok(),
            Self::EdDsa(key) => key.verify(message, signature).is_ok(),
        }
    }
}

/// `ring` looks at a point only when it is used, and then tells a bad point from a bad signature in key agreement alone.
/// What is agreed on with a key of the moment is thrown away.
fn is_on_curve(key: &EcPublicKey) -> bool {
    let point = agreement::UnparsedPublicKey::new(&ECDH_P256, key.uncompressed());
    EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
        .and_then(|ours| agreement::agree_ephemeral(ours, &point, |_| ()))
        .is_ok()
}
