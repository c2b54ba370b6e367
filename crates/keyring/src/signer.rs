use aws_lc_rs::signature::RsaKeyPair;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, encode};
use serde::Serialize;

use crate::error::{ProviderError, SignError};
use crate::provider::KeyHandle;

/// An opened private key, ready to sign. It has no `Debug`, and the key leaves memory with it.
///
/// ```compile_fail,E0277
/// fn show(signer: &attesto_keyring::Signer) {
///     println!("{signer:?}");
/// }
/// ```
pub struct Signer {
    kid: String,
    key: KeyHandle,
}

impl Signer {
    pub(crate) fn new(kid: String, key: RsaKeyPair) -> Result<Self, ProviderError> {
        Ok(Self { kid, key: KeyHandle::new(key)? })
    }

    /// The key's thumbprint, as it stands in the header and in the JWK Set.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs `claims` as a compact JWS (RFC 7515 §7.1) of the media type `typ`. RS256 is deterministic: the same claims
    /// give the same bytes.
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<String, SignError> {
        let mut header = Header::new(Algorithm::RS256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        encode(&header, claims, self.key.encoding_key()).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => SignError::Claims,
            _ => SignError::Signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use attesto_token::{CompactJws, PublicKey, base64url_decode, typ};
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    use serde_json::json;

    use super::*;
    use crate::fixture::{ACTIVE, KEKS, authority};
    use crate::keyring::Keyring;
    use crate::public::parse_jwk;

    fn signer() -> Arc<Signer> {
        Arc::clone(Keyring::open(std::slice::from_ref(&ACTIVE), &KEKS, &authority()).unwrap().active())
    }

    #[test]
    fn a_second_implementation_verifies_what_is_signed() {
        let token = signer().sign(typ::ACCESS, &json!({"sub": "7"})).unwrap();
        let jws = CompactJws::split(&token).unwrap();
        assert_eq!(jws.payload().unwrap(), br#"{"sub":"7"}"#);
        let PublicKey::Rsa(key) = parse_jwk(&ACTIVE.public_jwk).unwrap().key else {
            panic!("not an RSA key")
        };
        let (signature, key) = (jws.signature().unwrap(), RsaPublicKeyComponents { n: key.n, e: key.e });
        let verify = |message: &str| key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature);
        assert!(verify(jws.signing_input).is_ok());
        assert!(verify(&format!("{}A", jws.signing_input)).is_err());
    }

    #[test]
    fn the_header_has_three_members_in_a_fixed_order() {
        let token = signer().sign(typ::REFRESH, &json!({})).unwrap();
        let header = base64url_decode(token.split('.').next().unwrap()).unwrap();
        let expected = format!(r#"{{"typ":"rt+jwt","alg":"RS256","kid":"{}"}}"#, ACTIVE.kid);
        assert_eq!(String::from_utf8(header).unwrap(), expected);
    }

    #[test]
    fn the_same_claims_give_the_same_bytes() {
        let claims = json!({"sub": "7", "jti": "a"});
        let token = signer().sign(typ::REFRESH, &claims).unwrap();
        assert_eq!(signer().sign(typ::REFRESH, &claims).unwrap(), token, "by a key that was opened anew");
        assert_ne!(signer().sign(typ::ACCESS, &claims).unwrap(), token);
    }

    #[test]
    fn claims_that_are_no_json_are_told_from_a_signer_that_is_down() {
        let claims = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(signer().sign(typ::ACCESS, &claims), Err(SignError::Claims));
    }
}
