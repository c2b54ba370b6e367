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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use attesto_core::{KeyTable, Line};
    use attesto_token::{CompactJws, base64url_decode, typ};
    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::fixture::{ES256, FIRST, KEKS, RS256, authority};
    use crate::keyring::Keyring;
    use crate::rsa_bits::RsaBits;
    use crate::self_test::verify;

    const LINES: [Line; 2] = [RS256, ES256];

    /// Opened anew each time.
    fn signer(line: Line) -> Arc<dyn Signer> {
        let table = KeyTable { keys: FIRST.rows.clone(), ledger: Some(FIRST.ledger.clone()) };
        Arc::clone(Keyring::open(table, &KEKS, &authority()).unwrap().active(line).unwrap())
    }

    fn signed<C: Serialize>(signer: &dyn Signer, typ: &str, claims: &C) -> Result<String, SignError> {
        sign_jws(signer, typ, claims).now_or_never().expect("a key in this process signs at once")
    }

    #[test]
    fn a_second_implementation_verifies_what_is_signed() {
        for (line, length) in [(RS256, 256), (ES256, 64)] {
            let signer = signer(line);
            let token = signed(&*signer, typ::ACCESS, &json!({"sub": "7"})).unwrap();
            let jws = CompactJws::split(&token).unwrap();
            assert_eq!(jws.payload().unwrap(), br#"{"sub":"7"}"#);
            let signature = jws.signature().unwrap();
            assert_eq!(signature.len(), length, "{line}");
            let verify = |message: &str| verify(signer.public_jwk(), message.as_bytes(), &signature);
            assert!(verify(jws.signing_input).is_ok(), "{line}");
            assert!(verify(&format!("{}A", jws.signing_input)).is_err(), "{line}");
        }
    }

    #[test]
    fn the_header_has_three_members_in_a_fixed_order() {
        for line in LINES {
            let signer = signer(line);
            let token = signed(&*signer, typ::REFRESH, &json!({})).unwrap();
            let header = base64url_decode(token.split('.').next().unwrap()).unwrap();
            let (algorithm, kid) = (line.algorithm, &signer.public_jwk().kid);
            let expected = format!(r#"{{"typ":"rt+jwt","alg":"{algorithm}","kid":"{kid}"}}"#);
            assert_eq!(String::from_utf8(header).unwrap(), expected);
        }
    }

    #[test]
    fn only_rs256_gives_the_same_bytes_again() {
        let claims = json!({"sub": "7", "jti": "a"});
        for (line, repeats) in [(RS256, true), (ES256, false)] {
            let token = signed(&*signer(line), typ::REFRESH, &claims).unwrap();
            let again = signed(&*signer(line), typ::REFRESH, &claims).unwrap();
            let input = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
            assert_eq!(input(&token), input(&again), "{line}");
            assert_eq!(token == again, repeats, "{line}, by a key that was opened anew");
            assert_ne!(signed(&*signer(line), typ::ACCESS, &claims).unwrap(), token);
        }
    }

    /// A token that was lost is put together again from its claims and its signature.
    #[test]
    fn a_token_is_its_signing_input_and_the_signature_over_it() {
        let claims = json!({"sub": "7"});
        for line in LINES {
            let signer = signer(line);
            let token = signed(&*signer, typ::REFRESH, &claims).unwrap();
            let (input, _) = token.rsplit_once('.').unwrap();
            assert_eq!(signing_input(signer.public_jwk(), typ::REFRESH, &claims).unwrap(), input);
            let signature = signer.sign(input.as_bytes()).now_or_never().unwrap().unwrap();
            let signature = base64url_decode(&signature).unwrap();
            assert!(verify(signer.public_jwk(), input.as_bytes(), &signature).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_signer_says_its_one_algorithm() {
        for line in LINES {
            let signer = signer(line);
            assert_eq!(signer.algorithm().as_str(), line.algorithm.as_str());
            assert_eq!(signer.algorithm(), signer.public_jwk().algorithm);
        }
    }

    #[test]
    fn claims_that_are_no_json_are_told_from_a_signer_that_is_down() {
        struct Down(Jwk);

        impl Signer for Down {
            fn public_jwk(&self) -> &Jwk {
                &self.0
            }

            fn sign<'a>(&'a self, _: &'a [u8]) -> Signing<'a> {
                Box::pin(std::future::ready(Err(SignError::Unreachable)))
            }
        }

        let no_json = BTreeMap::from([((1, 2), 3)]);
        let down = Down(signer(ES256).public_jwk().clone());
        for signer in [&*signer(RS256), &*signer(ES256), &down] {
            assert_eq!(signed(signer, typ::ACCESS, &no_json), Err(SignError::Claims));
            assert_eq!(signing_input(signer.public_jwk(), typ::ACCESS, &no_json), Err(SignError::Claims));
        }
        assert_eq!(signed(&down, typ::ACCESS, &json!({})), Err(SignError::Unreachable));
    }

    #[test]
    fn a_key_signs_with_its_own_algorithm_only() {
        for (line, other) in [(RS256, ES256), (ES256, RS256)] {
            let key = PrivateKey::generate(line.algorithm, RsaBits::B2048).unwrap();
            let confused = OpenKey::new(signer(other).public_jwk().clone(), key).unwrap();
            assert_eq!(signed(&confused, typ::ACCESS, &json!({})), Err(SignError::Signature));
        }
    }
}
