use ring::aead::{Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::error::SealBroken;
use crate::random::random;

/// What sealing adds to the plaintext.
pub(crate) const OVERHEAD: usize = NONCE_LEN + MAX_TAG_LEN;

/// AES-256-GCM: a random nonce, the ciphertext, the tag. No key here seals more than a few thousand times, far from
/// the 2^32 at which random nonces begin to be a risk (NIST SP 800-38D §8.3).
pub(crate) fn seal(key: &LessSafeKey, associated: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = random();
    // Allocated once: a vector that grows would leave plaintext behind.
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
    sealed.extend(nonce);
    sealed.extend(plaintext);
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated),
            &mut sealed[NONCE_LEN..],
        )
        .expect("the plaintext is shorter than GCM's limit");
    sealed.extend(tag.as_ref());
    sealed
}

/// Opens what [`seal`] made under the same key and associated data.
pub(crate) fn open(
    key: &LessSafeKey,
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
    let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(SealBroken)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(associated), &mut plaintext)
        .map_err(|_| SealBroken)?
        .len();
    plaintext.truncate(length);
    Ok(plaintext)
}
