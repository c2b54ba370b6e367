use attesto_token::{Algorithm, EcPublicKey, Jwk, JwkError, JwkSet, PublicKey, RsaPublicKey};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, RsaKeyPair};

/// The public half of an RSA key, named by its thumbprint (RFC 7638).
pub(crate) fn public_half(key: &RsaKeyPair) -> Result<Jwk, JwkError> {
    let PublicKeyComponents { n, e } = key.public_key().into();
    let key = PublicKey::Rsa(RsaPublicKey::new(n, e)?);
    Ok(Jwk { kid: key.thumbprint(), algorithm: Algorithm::Rs256, key })
}

/// The public half of a P-256 key, named by its thumbprint.
pub(crate) fn ec_public_half(key: &EcdsaKeyPair) -> Result<Jwk, JwkError> {
    // 0x04, x, y (SEC 1 §2.3.3).
    let point = key.public_key().as_ref().strip_prefix(&[4]).ok_or(JwkError::Malformed)?;
    let (x, y) = point.split_at_checked(32).ok_or(JwkError::Malformed)?;
    let key = PublicKey::Ec(EcPublicKey::p256(x, y)?);
    Ok(Jwk { kid: key.thumbprint(), algorithm: Algorithm::Es256, key })
}

/// Reads a JWK on its own.
pub(crate) fn parse_jwk(json: &str) -> Option<Jwk> {
    let set = JwkSet::parse(format!(r#"{{"keys":[{json}]}}"#).as_bytes()).ok()?;
    let [jwk]: [Jwk; 1] = set.keys.try_into().ok()?;
    set.refused.is_empty().then_some(jwk)
}
