use attesto_token::{Algorithm, EcPublicKey, Jwk, JwkError, JwkSet, PublicKey, RsaPublicKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// A public key as other programs read it: a PEM file of a `SubjectPublicKeyInfo` (RFC 7468 §13).
pub fn public_key_pem(jwk: &Jwk) -> Option<String> {
    let der = STANDARD.encode(der(jwk).ok()?.as_ref() as &[u8]);
    let lines: Vec<_> = der.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Some(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
}

fn der(jwk: &Jwk) -> Result<PublicKeyX509Der<'static>, Unspecified> {
    match &jwk.key {
        PublicKey::Rsa(RsaPublicKey { n, e }) => PublicKeyComponents { n, e }.as_der(),
        PublicKey::Ec(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.uncompressed())
            .map_err(|_| Unspecified)?
            .as_der(),
        _ => Err(Unspecified),
    }
}
