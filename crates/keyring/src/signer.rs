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
