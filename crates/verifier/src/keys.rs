use std::sync::Arc;
use std::time::{Duration, Instant};

use attesto_token::{Algorithm, CompactJws, Jwk, JwkSet};

use crate::backend::VerifyingKey;
use crate::error::Error;

/// How long fetched keys serve after the last successful fetch: an outage of the issuer is survived, a withdrawn key
/// is not trusted for ever.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The set holds no key that could verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JWK Set holds no usable key")]
pub struct NoUsableKey;

/// The keys that are trusted at the moment, replaced as a whole.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    /// Sorted by `kid`. Empty until the first set is there.
    keys: Arc<[Key]>,
    /// `None` for keys that were handed over in process; those do not age. Monotonic, so that a clock that is set
    /// does not change it.
    pub(crate) fetched_at: Option<Instant>,
}

impl KeySet {
    /// Takes the usable keys of a set. Where two share a `kid`, neither is used.
    pub(crate) fn new(jwks: &JwkSet) -> Result<Self, NoUsableKey> {
        let mut jwks: Vec<_> = jwks.keys.iter().collect();
        jwks.sort_by(|a, b| a.kid.cmp(&b.kid));
        let unique = jwks.chunk_by(|a, b| a.kid == b.kid).filter(|twins| twins.len() == 1).flatten();
        let keys: Arc<[Key]> = unique.filter_map(|jwk| Key::new(jwk)).collect();
        if keys.is_empty() { Err(NoUsableKey) } else { Ok(Self { keys, fetched_at: None }) }
    }

    /// Finds the key that a token names.
    pub(crate) fn find(&self, kid: &str, now: Instant) -> Result<&Key, Error> {
        if !self.is_usable(now) {
            return Err(Error::KeysUnavailable);
        }
        let index = self.keys.binary_search_by(|key| (*key.kid).cmp(kid)).map_err(|_| Error::KeyUnknown)?;
        Ok(&self.keys[index])
    }

    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        !self.keys.is_empty() && self.fetched_at.is_none_or(|at| now.saturating_duration_since(at) < MAX_AGE)
    }
}

/// One key with its one algorithm (RFC 8725 §3.1).
pub(crate) struct Key {
    pub(crate) kid: Arc<str>,
    pub(crate) algorithm: Algorithm,
    public: VerifyingKey,
}

impl Key {
    fn new(jwk: &Jwk) -> Option<Self> {
        let public = VerifyingKey::new(jwk)?;
        Some(Self { kid: jwk.kid.as_str().into(), algorithm: jwk.algorithm, public })
    }

    /// Verifies the signature, and only then decodes the payload that it covers (RFC 7515 §5.2).
    pub(crate) fn verified_payload(&self, jws: &CompactJws<'_>) -> Result<Vec<u8>, Error> {
        if !self.public.verifies(jws.signing_input.as_bytes(), &jws.signature()?) {
            return Err(Error::SignatureInvalid);
        }
        Ok(jws.payload()?)
    }
}
