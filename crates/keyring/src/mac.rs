use attesto_core::{
    AuditHead, AuditPlace, AuthorityId, Encoding, KekId, KeyLedger, KeyRecord, SealedAuditHead,
};
use ring::hmac;

use crate::kek::KeyEncryptionKey;

/// The format of a row's MAC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// From before there were ledgers: says nothing about other rows being there.
    V1,
    V2,
}

/// The MAC of a row: HMAC-SHA-256 over everything in it but the sealed half, whose seal is its own proof.
pub(crate) fn mac(record: &KeyRecord, kek: &KeyEncryptionKey) -> Vec<u8> {
    hmac::sign(&kek.row_key(), row(record, Format::V2).as_bytes()).as_ref().to_vec()
}

/// Whether the row is as it was written by a holder of the key-encryption key. Takes the same time wherever they
/// differ.
pub(crate) fn is_genuine(record: &KeyRecord, format: Format, kek: &KeyEncryptionKey) -> bool {
    hmac::verify(&kek.row_key(), row(record, format).as_bytes(), &record.mac).is_ok()
}

/// The MAC of the ledger: over its fields and the MAC of every row that belongs to it.
pub(crate) fn ledger_mac(ledger: &KeyLedger, authority: &AuthorityId, kek: &KeyEncryptionKey) -> Vec<u8> {
    hmac::sign(&kek.ledger_key(), ledger_fields(ledger, authority).as_bytes()).as_ref().to_vec()
}

/// Whether the ledger is as it was written by a holder of the key-encryption key.
pub(crate) fn is_genuine_ledger(ledger: &KeyLedger, authority: &AuthorityId, kek: &KeyEncryptionKey) -> bool {
    hmac::verify(&kek.ledger_key(), ledger_fields(ledger, authority).as_bytes(), &ledger.mac).is_ok()
}

/// The MAC of the head of the audit's chain: over its fields.
pub(crate) fn audit_head_mac(head: &AuditHead, authority: &AuthorityId, kek: &KeyEncryptionKey) -> Vec<u8> {
    let fields = audit_head_fields(head, &kek.id(), authority);
    hmac::sign(&kek.audit_key(), fields.as_bytes()).as_ref().to_vec()
}

/// Whether the head is as it was written by a holder of the key-encryption key.
pub(crate) fn is_genuine_audit_head(
    sealed: &SealedAuditHead,
    authority: &AuthorityId,
    kek: &KeyEncryptionKey,
) -> bool {
    let fields = audit_head_fields(&sealed.head, &sealed.kek_id, authority);
    hmac::verify(&kek.audit_key(), fields.as_bytes(), &sealed.mac).is_ok()
}

fn audit_head_fields(head: &AuditHead, kek_id: &KekId, authority: &AuthorityId) -> Encoding {
    let AuditHead { version, begun_at, last, sealed_at, purged } = head;
    let place =
        |fields: Encoding, AuditPlace { seq, hash }: &AuditPlace| fields.number(*seq).bytes(hash.as_bytes());
    let fields = Encoding::new("attesto audit head v1")
        .text(&authority.0)
        .text(&kek_id.0)
        .number(*version)
        .instant(Some(*begun_at))
        .instant(Some(*sealed_at));
    place(place(fields, last), purged)
}

fn row(record: &KeyRecord, format: Format) -> Encoding {
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
    let label = match format {
        Format::V1 => "attesto key row v1",
        Format::V2 => "attesto key row v2",
    };
    Encoding::new(label)
        .text(&authority_id.0)
        .text(kid)
        .text(algorithm.as_str())
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

fn ledger_fields(ledger: &KeyLedger, authority: &AuthorityId) -> Encoding {
    let KeyLedger { version, rows, compromised, kek_id, mac: _ } = ledger;
    let fields = Encoding::new("attesto key ledger v1")
        .text(&authority.0)
        .text(&kek_id.0)
        .number(*version)
        .number(rows.len().cast_signed() as i64)
        .number(compromised.len().cast_signed() as i64);
    let fields = rows.iter().fold(fields, |fields, (kid, mac)| fields.text(kid).bytes(mac));
    compromised.iter().fold(fields, |fields, kid| fields.text(kid))
}

/// As rows were written before there were ledgers.
#[cfg(test)]
pub(crate) fn mac_of_format_1(record: &KeyRecord, kek: &KeyEncryptionKey) -> Vec<u8> {
    hmac::sign(&kek.row_key(), row(record, Format::V1).as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use attesto_core::Digest;

    use super::*;
    use crate::fixture::{NOW, altered, authority, older_kek, row_of_format_1, unhex};

    /// Computed by another implementation.
    const MAC_OF_FORMAT_2: &str = "1a9151b835983f56a056be36c56dc1e4e8d4bfda13991a598d1371890733b45c";

    #[test]
    fn rows_of_format_1_stay_genuine() {
        let row = row_of_format_1();
        assert_eq!(mac_of_format_1(&row, &older_kek()), row.mac);
        assert!(is_genuine(&row, Format::V1, &older_kek()));
        assert!(!is_genuine(&row, Format::V2, &older_kek()), "a row says which format it has");
        assert!(!is_genuine(&row, Format::V1, &KeyEncryptionKey::generate()));
    }

    #[test]
    fn rows_of_format_2_stay_genuine() {
        let row = altered(&row_of_format_1(), |row| row.mac = unhex(MAC_OF_FORMAT_2));
        assert_eq!(mac(&row, &older_kek()), row.mac);
        assert!(is_genuine(&row, Format::V2, &older_kek()));
        assert!(!is_genuine(&row, Format::V1, &older_kek()));
        assert!(!is_genuine(&row, Format::V2, &KeyEncryptionKey::generate()));
    }

    #[test]
    fn heads_of_format_1_stay_genuine() {
        type Alter = fn(&mut SealedAuditHead);
        let place = |seq, byte| AuditPlace { seq, hash: Digest::from_bytes(&[byte; 32]).unwrap() };
        let head = AuditHead {
            version: 7,
            begun_at: NOW,
            last: place(41, 1),
            sealed_at: NOW + Duration::from_secs(1),
            purged: place(3, 2),
        };
        // Computed by another implementation.
        let mac = unhex("60d865215702604f780763617f50325aef0ce0bbeb54cbfc040f23c335aa0f9b");
        let sealed = SealedAuditHead { head, kek_id: older_kek().id(), mac };
        assert_eq!(audit_head_mac(&head, &authority(), &older_kek()), sealed.mac);
        assert!(is_genuine_audit_head(&sealed, &authority(), &older_kek()));
        assert!(!is_genuine_audit_head(&sealed, &authority(), &KeyEncryptionKey::generate()));
        let alterations: [Alter; 8] = [
            |sealed| sealed.head.version += 1,
            |sealed| sealed.head.begun_at = NOW + Duration::from_millis(1),
            |sealed| sealed.head.sealed_at = NOW,
            |sealed| sealed.head.last.seq += 1,
            |sealed| sealed.head.last.hash = sealed.head.purged.hash,
            |sealed| sealed.head.purged.seq += 1,
            |sealed| sealed.head.purged.hash = sealed.head.last.hash,
            |sealed| sealed.mac[31] ^= 1,
        ];
        for alter in alterations {
            let mut altered = sealed.clone();
            alter(&mut altered);
            assert!(!is_genuine_audit_head(&altered, &authority(), &older_kek()), "{altered:?}");
        }
        let elsewhere = AuthorityId("another".to_owned());
        assert!(!is_genuine_audit_head(&sealed, &elsewhere, &older_kek()));
    }

    #[test]
    fn ledgers_of_format_1_stay_genuine() {
        let rows = [("a-kid", unhex(MAC_OF_FORMAT_2)), ("b-kid", vec![1, 2, 3])];
        let ledger = KeyLedger {
            version: 7,
            rows: rows.map(|(kid, mac)| (kid.to_owned(), mac)).into(),
            compromised: vec!["b-kid".to_owned()],
            kek_id: older_kek().id(),
            // Computed by another implementation.
            mac: unhex("8055144f5efb3ddbd2f43ee95c9b4584727b191029e23541ad528c6d85e317b3"),
        };
        assert_eq!(ledger_mac(&ledger, &authority(), &older_kek()), ledger.mac);
        assert!(is_genuine_ledger(&ledger, &authority(), &older_kek()));
        assert!(!is_genuine_ledger(&ledger, &authority(), &KeyEncryptionKey::generate()));
    }
}
