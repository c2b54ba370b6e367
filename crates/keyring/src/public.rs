use attesto_token::{Algorithm, Jwk, JwkError, JwkSet, PublicKey, RsaPublicKey};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};

/// The public half of a key, named by its thumbprint (RFC 7638).
pub(crate) fn public_half(key: &RsaKeyPair) -> Result<Jwk, JwkError> {
    let PublicKeyComponents { n, e } = key.public_key().into();
    let key = PublicKey::Rsa(RsaPublicKey::new(n, e)?);
    Ok(Jwk { kid: key.thumbprint(), algorithm: Algorithm::Rs256, key })
}

/// Reads a JWK on its own.
pub(crate) fn parse_jwk(json: &str) -> Option<Jwk> {
    let set = JwkSet::parse(format!(r#"{{"keys":[{json}]}}"#).as_bytes()).ok()?;
    let [jwk]: [Jwk; 1] = set.keys.try_into().ok()?;
    set.refused.is_empty().then_some(jwk)
}
