use std::pin::Pin;
use std::sync::Arc;

use attesto_token::{Algorithm, Jwk, base64url_encode};
use jsonwebtoken::{Header, crypto};
use serde::Serialize;

use crate::error::{ProviderError, SignError};
use crate::private::PrivateKey;
use crate::provider::KeyHandle;

/// Something that signs with one private key: a key in this process, or one that a device or a service keeps. It may
/// fail, and it may take its time; whoever asks sets a limit to that.
///
/// Dropping the future gives up on the signature.
pub trait Signer: Send + Sync {
    /// The public half. Its `kid` and algorithm stand in the header of whatever is signed.
    fn public_jwk(&self) -> &Jwk;

    /// The one algorithm of the key.
    fn algorithm(&self) -> Algorithm {
        self.public_jwk().algorithm
    }

    /// Signs the JWS Signing Input (RFC 7515 §5.1); gives the JWS Signature in base64url.
    fn sign<'a>(&'a self, signing_input: &'a [u8]) -> Signing<'a>;
}

/// A signature to come.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<String, SignError>> + Send + 'a>>;

/// Signs `claims` as a compact JWS (RFC 7515 §7.1) of the media type `typ`. Under RS256 the same claims give the same
/// bytes, under ES256 a different signature each time.
pub async fn sign_jws<C: Serialize>(signer: &dyn Signer, typ: &str, claims: &C) -> Result<String, SignError> {
    let mut jws = signing_input(signer.public_jwk(), typ, claims)?;
    let signature = signer.sign(jws.as_bytes()).await?;
    jws.reserve_exact(1 + signature.len());
    jws.push('.');
    jws.push_str(&signature);
    Ok(jws)
}

/// The bytes that a signature is made over: header and claims (RFC 7515 §5.1).
pub fn signing_input<C: Serialize>(key: &Jwk, typ: &str, claims: &C) -> Result<String, SignError> {
    let header = Header {
        typ: Some(typ.to_owned()),
        kid: Some(key.kid.clone()),
        ..Header::new(registered(key.algorithm)?)
    };
    let encoded = |part: Result<Vec<u8>, serde_json::Error>| {
        part.map(|json| base64url_encode(&json)).map_err(|_| SignError::Claims)
    };
    Ok([encoded(serde_json::to_vec(&header))?, encoded(serde_json::to_vec(claims))?].join("."))
}

/// A private key that was sealed in the database and is open in this process. It has no `Debug`, and the key leaves
/// memory with it.
///
/// ```compile_fail,E0277
/// fn show(key: &attesto_keyring::OpenKey) {
///     println!("{key:?}");
/// }
/// ```
pub struct OpenKey {
    public: Jwk,
    algorithm: jsonwebtoken::Algorithm,
    key: KeyHandle,
}

impl OpenKey {
    pub(crate) fn new(public: Jwk, key: PrivateKey) -> Result<Self, ProviderError> {
        let algorithm = registered(public.algorithm).map_err(|_| ProviderError)?;
        Ok(Self { public, algorithm, key: KeyHandle::new(key)? })
    }

    pub(crate) fn shared(public: Jwk, key: PrivateKey) -> Result<Arc<dyn Signer>, ProviderError> {
        Ok(Arc::new(Self::new(public, key)?))
    }
}

impl Signer for OpenKey {
    fn public_jwk(&self) -> &Jwk {
        &self.public
    }

    fn sign<'a>(&'a self, signing_input: &'a [u8]) -> Signing<'a> {
        let signature = crypto::sign(signing_input, self.key.encoding_key(), self.algorithm);
        Box::pin(std::future::ready(signature.map_err(|_| SignError::Signature)))
    }
}

fn registered(algorithm: Algorithm) -> Result<jsonwebtoken::Algorithm, SignError> {
    match algorithm {
        Algorithm::Rs256 => Ok(jsonwebtoken::Algorithm::RS256),
        Algorithm::Es256 => Ok(jsonwebtoken::Algorithm::ES256),
        _ => Err(SignError::Signature),
    }
}
