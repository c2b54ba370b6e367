use attesto_core::KeyRecord;
use ring::hmac;

use crate::encoding::Encoding;
use crate::kek::KeyEncryptionKey;

/// The MAC of a row: HMAC-SHA-256 over everything in it but the sealed half, whose seal is its own proof.
pub(crate) fn mac(record: &KeyRecord, kek: &KeyEncryptionKey) -> Vec<u8> {
    hmac::sign(&kek.row_key(), row(record).as_bytes()).as_ref().to_vec()
}

/// Whether the row is as it was written by a holder of the key-encryption key. Takes the same time wherever they
/// differ.
pub(crate) fn is_genuine(record: &KeyRecord, kek: &KeyEncryptionKey) -> bool {
    hmac::verify(&kek.row_key(), row(record).as_bytes(), &record.mac).is_ok()
}

fn row(record: &KeyRecord) -> Encoding {
    // Every field is named, so that a new one cannot be forgotten here.
    let KeyRecord {
        kid,
        algorithm,
        purpose,
        state,
        public_jwk,
        sealed_private_key: _,
        kek_id,
        authority_id,
        created_at,
        published_at,
        active_at,
        demoted_at,
        retired_at,
        destroyed_at,
        compromised_at,
        mac: _,
    } = record;
    Encoding::new("attesto key row v1")
        .text(&authority_id.0)
        .text(kid)
        .text(algorithm)
        .text(purpose.as_str())
        .text(state.as_str())
        .text(public_jwk)
        .text(&kek_id.0)
        .instant(Some(*created_at))
        .instant(*published_at)
        .instant(*active_at)
        .instant(*demoted_at)
        .instant(*retired_at)
        .instant(*destroyed_at)
        .instant(*compromised_at)
}

#[cfg(test)]
mod tests {
    use super::{is_genuine, mac};
    use crate::fixture::{older_kek, row_of_format_1};
    use crate::kek::KeyEncryptionKey;

    #[test]
    fn rows_of_format_1_stay_genuine() {
        let row = row_of_format_1();
        assert_eq!(mac(&row, &older_kek()), row.mac);
        assert!(is_genuine(&row, &older_kek()));
        assert!(!is_genuine(&row, &KeyEncryptionKey::generate()));
    }
}
