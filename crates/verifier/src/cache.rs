use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use attesto_token::sha256;

use crate::claims::StandardClaims;

/// Good tokens that were seen before, by their digest. It has one place for each remainder of a digest, and what comes
/// later displaces what was there: it never grows, and nobody waits for anything but the same place.
pub(crate) struct TokenCache {
    places: Box<[Mutex<Option<Place>>]>,
    /// So that nobody can choose which tokens displace each other.
    places_of: RandomState,
}

struct Place {
    digest: TokenDigest,
    generation: u64,
    remembered: Remembered,
}

/// What became of a token.
#[derive(Clone)]
pub(crate) struct Remembered {
    pub(crate) std: Arc<StandardClaims>,
    pub(crate) payload: Arc<[u8]>,
    /// The place of its key in the key set of that generation.
    pub(crate) key: usize,
}

/// SHA-256 of the whole token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenCache {
    pub(crate) fn new(entries: usize) -> Self {
        let places = (0..entries).map(|_| Mutex::new(None)).collect();
        Self { places, places_of: RandomState::new() }
    }

    pub(crate) fn digest(token: &str) -> TokenDigest {
        TokenDigest(sha256(token.as_bytes()))
    }

    pub(crate) fn find(&self, digest: &TokenDigest, generation: u64) -> Option<Remembered> {
        let place = self.place(digest).lock().unwrap_or_else(PoisonError::into_inner);
        let found = place.as_ref().filter(|place| place.digest == *digest && place.generation == generation);
        found.map(|place| place.remembered.clone())
    }

    pub(crate) fn remember(&self, digest: TokenDigest, generation: u64, remembered: Remembered) {
        let place = Place { digest, generation, remembered };
        *self.place(&digest).lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn place(&self, digest: &TokenDigest) -> &Mutex<Option<Place>> {
        let remainder = self.places_of.hash_one(digest) % self.places.len() as u64;
        &self.places[usize::try_from(remainder).unwrap_or_default()]
    }
}
