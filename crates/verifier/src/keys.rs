use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use attesto_token::{Algorithm, CompactJws, Jwk, JwkSet};

use crate::backend::VerifyingKey;
use crate::clock::Moment;
use crate::error::Error;

/// The set holds no key that could verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JWK Set holds no usable key")]
pub struct NoUsableKey;

/// The keys of an issuer, replaced as a whole.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    /// Sorted by `kid`. Empty until the first set is there.
    keys: Arc<[Key]>,
    /// When they were last known to be the issuer's; `None` for keys that were handed over in process, which do not
    /// age.
    confirmed_at: Option<Moment>,
}

impl KeySet {
    /// Takes the usable keys of a set. Where two share a `kid`, neither is used.
    pub(crate) fn new(jwks: &JwkSet) -> Result<Self, NoUsableKey> {
        let mut jwks: Vec<_> = jwks.keys.iter().collect();
        jwks.sort_by(|a, b| a.kid.cmp(&b.kid));
        let unique = jwks.chunk_by(|a, b| a.kid == b.kid).filter(|twins| twins.len() == 1).flatten();
        let keys: Arc<[Key]> = unique.filter_map(|jwk| Key::new(jwk)).collect();
        if keys.is_empty() { Err(NoUsableKey) } else { Ok(Self { keys, confirmed_at: None }) }
    }

    /// The same keys, known to be the issuer's at this moment.
    pub(crate) fn confirmed(self, at: Moment) -> Self {
        Self { confirmed_at: Some(at), ..self }
    }

    /// The place of the key with this `kid`.
    pub(crate) fn find(&self, kid: &str) -> Option<usize> {
        self.keys.binary_search_by(|key| (*key.kid).cmp(kid)).ok()
    }

    /// The place of the key that has verified a token with this very header: it passed all that is asked of headers,
    /// by the one policy that these keys are for.
    pub(crate) fn find_by_header(&self, jws: &CompactJws<'_>) -> Option<usize> {
        let header = jws.encoded_header();
        self.keys.iter().position(|key| key.header.get().is_some_and(|known| **known == *header))
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Key> {
        self.find(kid).map(|index| &self.keys[index])
    }

    /// Whether there are keys, and no more than `max_age` old.
    pub(crate) fn is_usable(&self, now: impl FnOnce() -> Duration, max_age: Duration) -> bool {
        !self.is_empty() && self.confirmed_at.is_none_or(|at| at.age(now()) < max_age)
    }

    pub(crate) fn age(&self, now: Duration) -> Option<Duration> {
        self.confirmed_at.map(|at| at.age(now))
    }
}

impl Deref for KeySet {
    type Target = [Key];

    fn deref(&self) -> &[Key] {
        &self.keys
    }
}

/// One key with its one algorithm (RFC 8725 §3.1).
pub(crate) struct Key {
    pub(crate) kid: Arc<str>,
    pub(crate) algorithm: Algorithm,
    public: VerifyingKey,
    /// That of the first token that it verified.
    header: OnceLock<Box<str>>,
}

impl Key {
    fn new(jwk: &Jwk) -> Option<Self> {
        let public = VerifyingKey::new(jwk)?;
        let kid = jwk.kid.as_str().into();
        Some(Self { kid, algorithm: jwk.algorithm, public, header: OnceLock::new() })
    }

    /// Verifies the signature, and only then decodes the payload that it covers (RFC 7515 §5.2).
    pub(crate) fn verified_payload(&self, jws: &CompactJws<'_>, alg: Algorithm) -> Result<Vec<u8>, Error> {
        if alg != self.algorithm {
            return Err(Error::AlgNotAllowed);
        }
        let signed = jws.signing_input.as_bytes();
        if !jws.signature_verifies(|signature| self.public.verifies(signed, signature))? {
            return Err(Error::SignatureInvalid);
        }
        self.header.get_or_init(|| jws.encoded_header().into());
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

    #[test]
    fn every_key_is_found_whatever_the_order() {
        let keys = KeySet::new(&JwkSet::new(["b", "d", "a", "c"].map(jwk).into())).unwrap();
        for kid in ["a", "b", "c", "d"] {
            assert_eq!(&*keys.get(kid).unwrap().kid, kid);
        }
        for kid in ["", "A", "aa", "e"] {
            assert!(keys.get(kid).is_none(), "{kid}");
        }
    }

    #[test]
    fn twins_are_not_used() {
        let keys = KeySet::new(&JwkSet::new(["a", "b", "a"].map(jwk).into())).unwrap();
        assert!(keys.get("a").is_none() && keys.get("b").is_some());
        assert_eq!(KeySet::new(&JwkSet::new(["a", "a"].map(jwk).into())).err(), Some(NoUsableKey));
    }

    #[test]
    fn fetched_keys_serve_for_their_time() {
        let (at, day) = (Duration::from_secs(7), Duration::from_secs(86_400));
        let handed_over = KeySet::new(&JwkSet::new(vec![jwk("a")])).unwrap();
        let fetched = handed_over.clone().confirmed(Moment::new(at, Duration::ZERO));
        let last = at + day.saturating_sub(Duration::from_nanos(1));
        assert!(fetched.is_usable(|| last, day) && !fetched.is_usable(|| at + day, day));
        let remembered = handed_over.clone().confirmed(Moment::new(at, day));
        assert!(!remembered.is_usable(|| at, day) && remembered.is_usable(|| at, day + at));
        assert!(handed_over.is_usable(|| 1_000 * day, Duration::ZERO));
        assert!(!KeySet::default().is_usable(|| at, day));
    }
}
