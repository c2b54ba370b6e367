use attesto_core::{Encoding, KeyRecord};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

use crate::aead;
use crate::error::SealBroken;
use crate::kek::KeyEncryptionKey;
use crate::random::random;

const DATA_KEY_LEN: usize = 32;
const WRAPPED_LEN: usize = DATA_KEY_LEN + aead::OVERHEAD;

/// Seals the private half (PKCS#8) of the key of `record`: under a data key of its own, which is wrapped by the
/// key-encryption key. A record that comes to be sealed anew never reuses a data key.
pub(crate) fn seal(private_key: &[u8], record: &KeyRecord, kek: &KeyEncryptionKey) -> Vec<u8> {
    let associated = associated_data(record);
    let data_key = Zeroizing::new(random::<DATA_KEY_LEN>());
    let mut sealed = aead::seal(&kek.wrapping_key(), associated.as_bytes(), data_key.as_slice());
    sealed.extend(aead::seal(&aes_key(&data_key), associated.as_bytes(), private_key));
    sealed
}

/// Opens the private half (PKCS#8) of the key of `record`.
pub(crate) fn open(
    sealed: &[u8],
    record: &KeyRecord,
    kek: &KeyEncryptionKey,
) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
    let associated = associated_data(record);
    let (wrapped, private_key) = sealed.split_first_chunk::<WRAPPED_LEN>().ok_or(SealBroken)?;
    let data_key = aead::open(&kek.wrapping_key(), associated.as_bytes(), wrapped)?;
    let data_key = data_key.as_slice().try_into().map_err(|_| SealBroken)?;
    aead::open(&aes_key(data_key), associated.as_bytes(), private_key)
}

/// What never changes in a row while it keeps its key-encryption key: a sealed half opens in its own row and database
/// only.
fn associated_data(record: &KeyRecord) -> Encoding {
    Encoding::new("attesto private key v1")
        .text(&record.authority_id.0)
        .text(&record.kid)
        .text(record.algorithm.as_str())
        .text(record.purpose.as_str())
        .text(&record.kek_id.0)
}

fn aes_key(bytes: &[u8; DATA_KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("an AES-256 key has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use attesto_core::{AuthorityId, KekId, Purpose, SigningAlgorithm};

    use super::*;
    use crate::fixture::{altered, older_kek, row_of_format_1};

    const PRIVATE: &[u8] = b"private";

    #[test]
    fn seals_of_format_1_still_open() {
        let row = row_of_format_1();
        assert_eq!(*open(row.sealed_private_key.as_ref().unwrap(), &row, &older_kek()).unwrap(), PRIVATE);
    }

    #[test]
    fn a_seal_opens_in_its_own_row_under_its_own_kek_only() {
        let (kek, row) = (older_kek(), row_of_format_1());
        let sealed = seal(PRIVATE, &row, &kek);
        assert_eq!(*open(&sealed, &row, &kek).unwrap(), PRIVATE);
        let strangers = [
            altered(&row, |row| row.authority_id = AuthorityId("another".to_owned())),
            altered(&row, |row| row.kid = "another".to_owned()),
            altered(&row, |row| row.algorithm = SigningAlgorithm::Es256),
            altered(&row, |row| row.purpose = Purpose::Feed),
            altered(&row, |row| row.kek_id = KekId("another".to_owned())),
        ];
        for stranger in strangers {
            assert_eq!(open(&sealed, &stranger, &kek), Err(SealBroken), "{stranger:?}");
        }
        assert_eq!(open(&sealed, &row, &KeyEncryptionKey::generate()), Err(SealBroken));
    }

    #[test]
    fn no_byte_of_a_seal_can_be_changed_or_left_out() {
        let (kek, row) = (older_kek(), row_of_format_1());
        let sealed = seal(PRIVATE, &row, &kek);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, &row, &kek), Err(SealBroken), "byte {at} changed");
            assert_eq!(open(&sealed[..at], &row, &kek), Err(SealBroken), "cut at byte {at}");
        }
    }

    #[test]
    fn every_seal_has_a_data_key_of_its_own() {
        let (kek, row) = (older_kek(), row_of_format_1());
        let data_key = || {
            let sealed = seal(PRIVATE, &row, &kek);
            aead::open(&kek.wrapping_key(), associated_data(&row).as_bytes(), &sealed[..WRAPPED_LEN]).unwrap()
        };
        assert_ne!(data_key(), data_key());
    }

    #[test]
    fn nothing_repeats_between_two_seals_of_the_same_key() {
        let (kek, row) = (older_kek(), row_of_format_1());
        let (one, other) = (seal(PRIVATE, &row, &kek), seal(PRIVATE, &row, &kek));
        assert!(one.windows(8).all(|bytes| other.windows(8).all(|others| bytes != others)));
    }
}
