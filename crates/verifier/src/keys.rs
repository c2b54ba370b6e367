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
    fetched_at: Option<Instant>,
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

#[cfg(feature = "reqwest")]
impl KeySet {
    /// The same keys, known to be the issuer's at this instant.
    pub(crate) fn fetched(self, at: Instant) -> Self {
        Self { fetched_at: Some(at), ..self }
    }

    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.fetched_at.map(|at| now.saturating_duration_since(at))
    }

    pub(crate) fn kids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.keys.iter().map(|key| &key.kid)
    }
}

/// One key with its one algorithm (RFC 8725 §3.1).
pub(crate) struct Key {
    pub(crate) kid: Arc<str>,
    algorithm: Algorithm,
    public: VerifyingKey,
}

impl Key {
    fn new(jwk: &Jwk) -> Option<Self> {
        let public = VerifyingKey::new(jwk)?;
        Some(Self { kid: jwk.kid.as_str().into(), algorithm: jwk.algorithm, public })
    }

    /// Verifies the signature, and only then decodes the payload that it covers (RFC 7515 §5.2).
    pub(crate) fn verified_payload(&self, jws: &CompactJws<'_>, alg: Algorithm) -> Result<Vec<u8>, Error> {
        if alg != self.algorithm {
            return Err(Error::AlgNotAllowed);
        }
        if !self.public.verifies(jws.signing_input.as_bytes(), &jws.signature()?) {
            return Err(Error::SignatureInvalid);
        }
        Ok(jws.payload()?)
    }
}

#[cfg(test)]
mod tests {
    use attesto_token::{PublicKey, RsaPublicKey};

    use super::*;

    fn jwk(kid: &str) -> Jwk {
        let key = PublicKey::Rsa(RsaPublicKey::new(vec![0xc1; 256], vec![1, 0, 1]).unwrap());
        Jwk { kid: kid.to_owned(), algorithm: Algorithm::Rs256, key }
    }

    fn verdict(keys: &KeySet, kid: &str, now: Instant) -> Result<(), Error> {
        keys.find(kid, now).map(drop)
    }

    #[test]
    fn every_key_is_found_whatever_the_order() {
        let keys = KeySet::new(&JwkSet::new(["b", "d", "a", "c"].map(jwk).into())).unwrap();
        for kid in ["a", "b", "c", "d"] {
            assert_eq!(&*keys.find(kid, Instant::now()).unwrap().kid, kid);
        }
        for kid in ["", "A", "aa", "e"] {
            assert_eq!(verdict(&keys, kid, Instant::now()), Err(Error::KeyUnknown), "{kid}");
        }
    }

    #[test]
    fn twins_are_not_used() {
        let keys = KeySet::new(&JwkSet::new(["a", "b", "a"].map(jwk).into())).unwrap();
        assert_eq!(verdict(&keys, "a", Instant::now()), Err(Error::KeyUnknown));
        assert_eq!(verdict(&keys, "b", Instant::now()), Ok(()));
        assert_eq!(KeySet::new(&JwkSet::new(["a", "a"].map(jwk).into())).err(), Some(NoUsableKey));
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn fetched_keys_serve_for_a_day() {
        let fetched_at = Instant::now();
        let last = fetched_at + MAX_AGE.checked_sub(Duration::from_nanos(1)).unwrap();
        let handed_over = KeySet::new(&JwkSet::new(vec![jwk("a")])).unwrap();
        let fetched = handed_over.clone().fetched(fetched_at);
        assert_eq!(verdict(&fetched, "a", last), Ok(()));
        for kid in ["a", "b"] {
            assert_eq!(verdict(&fetched, kid, fetched_at + MAX_AGE), Err(Error::KeysUnavailable));
        }
        assert_eq!(verdict(&handed_over, "a", fetched_at + 1_000 * MAX_AGE), Ok(()));
        assert_eq!(verdict(&KeySet::default(), "a", fetched_at), Err(Error::KeysUnavailable));
    }
}
