use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use attesto_token::sha256;

use crate::verifier::Checked;

/// Good tokens that were seen before, by their digest. It has one place for each range of digests, and what comes
/// later displaces what was there: it never grows, and nobody waits for anything but the same place.
pub(crate) struct TokenCache {
    places: Box<[Mutex<Option<Place>>]>,
    /// Random and odd, so that nobody can choose which tokens displace each other.
    factor: u64,
}

struct Place {
    digest: TokenDigest,
    generation: u64,
    checked: Checked,
}

/// SHA-256 of the whole token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenCache {
    pub(crate) fn new(entries: usize) -> Self {
        let places = (0..entries).map(|_| Mutex::new(None)).collect();
        Self { places, factor: RandomState::new().hash_one(()) | 1 }
    }

    pub(crate) fn digest(token: &str) -> TokenDigest {
        TokenDigest(sha256(token.as_bytes()))
    }

    pub(crate) fn find(&self, digest: &TokenDigest, generation: u64) -> Option<Checked> {
        let place = self.place(digest).lock().unwrap_or_else(PoisonError::into_inner);
        let found = place.as_ref().filter(|place| place.digest == *digest && place.generation == generation);
        found.map(|place| place.checked.clone())
    }

    pub(crate) fn remember(&self, digest: TokenDigest, generation: u64, checked: Checked) {
        let place = Place { digest, generation, checked };
        *self.place(&digest).lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn place(&self, digest: &TokenDigest) -> &Mutex<Option<Place>> {
        let share = u64::from_ne_bytes(*digest.0.first_chunk().expect("a digest has 32 bytes"));
        let share = share.wrapping_mul(self.factor);
        let place = (u128::from(share) * self.places.len() as u128) >> 64;
        &self.places[usize::try_from(place).unwrap_or_default()]
    }
}
