use std::sync::{Arc, LazyLock};

use attesto_core::{
    AuthorityId, Instant, KeyChange, KeyRecord, KeyState, KeyTable, Line, Purpose, SigningAlgorithm,
};

use crate::change::{Place, first_keys};
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::mac;
use crate::private::PrivateKey;
use crate::rsa_bits::RsaBits;

pub(crate) const NOW: Instant = Instant::from_seconds(1_800_000_000);

pub(crate) const RS256: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Rs256 };

pub(crate) const ES256: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Es256 };

pub(crate) const FEED: Line = Line { purpose: Purpose::Feed, algorithm: SigningAlgorithm::Es256 };

/// The first seals, and there is an older one.
pub(crate) static KEKS: LazyLock<Arc<KeyEncryptionKeys>> =
    LazyLock::new(|| Arc::new(KeyEncryptionKeys::new(newer_kek(), vec![older_kek()])));

/// A pair for each of the lines of tokens, RS256 first.
pub(crate) static FIRST: LazyLock<KeyChange> =
    LazyLock::new(|| first_keys(&KEKS, &authority(), &[RS256, ES256], RsaBits::B2048, NOW).unwrap());

pub(crate) static ACTIVE: LazyLock<KeyRecord> = LazyLock::new(|| FIRST.rows[0].clone());

pub(crate) static STAGED: LazyLock<KeyRecord> = LazyLock::new(|| FIRST.rows[1].clone());

pub(crate) fn authority() -> AuthorityId {
    AuthorityId("an-authority".to_owned())
}

/// The bytes 0 to 31.
pub(crate) fn older_kek() -> KeyEncryptionKey {
    KeyEncryptionKey::parse(b"attesto-kek-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap()
}

/// The bytes 32 to 63.
pub(crate) fn newer_kek() -> KeyEncryptionKey {
    KeyEncryptionKey::parse(b"attesto-kek-v1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\n").unwrap()
}

/// A new key.
pub(crate) fn made(line: Line, state: KeyState) -> KeyRecord {
    let key = PrivateKey::generate(line.algorithm, RsaBits::B2048).unwrap();
    Place { authority: &authority(), kek: KEKS.sealing() }.row(&key, line, state, NOW).unwrap()
}

/// The rows with a genuine ledger.
pub(crate) fn bound(rows: &[KeyRecord]) -> KeyTable {
    let change = Place { authority: &authority(), kek: KEKS.sealing() }.begin(rows.to_vec());
    applied(&KeyTable { keys: Vec::new(), ledger: None }, &change)
}

/// What the database holds once a change is written.
pub(crate) fn applied(table: &KeyTable, change: &KeyChange) -> KeyTable {
    assert_eq!(change.from, table.ledger.as_ref().map(|ledger| ledger.version), "another change was first");
    let is_replaced = |key: &KeyRecord| change.rows.iter().any(|row| row.kid == key.kid);
    let kept = table.keys.iter().filter(|key| !is_replaced(key));
    KeyTable { keys: kept.chain(&change.rows).cloned().collect(), ledger: Some(change.ledger.clone()) }
}

/// What somebody makes of a row, a ledger or a table who has the database only.
pub(crate) fn altered<T: Clone>(original: &T, change: impl FnOnce(&mut T)) -> T {
    let mut altered = original.clone();
    change(&mut altered);
    altered
}

/// What a holder of the key-encryption key makes of a row.
pub(crate) fn rewritten(record: &KeyRecord, change: impl FnOnce(&mut KeyRecord)) -> KeyRecord {
    altered(record, |record| {
        change(record);
        record.mac = mac::mac(record, KEKS.sealing());
    })
}

/// A row whose MAC and seal under [`older_kek`] were computed by another implementation.
pub(crate) fn row_of_format_1() -> KeyRecord {
    KeyRecord {
        kid: "a-kid".to_owned(),
        algorithm: SigningAlgorithm::Rs256,
        purpose: Purpose::Token,
        state: KeyState::Active,
        public_jwk: "{}".to_owned(),
        sealed_private_key: Some(unhex(
            "010101010101010101010101a70898acf5716f2257405bb67bad678533833c1bb3e328b7106511e41b3fcfc94993ef22032a4cd9\
             25573ba0520bfdc20202020202020202020202021d7c5ccd4d788e8ebee3fd1ae2a67d7a426892e8f0112f",
        )),
        kek_id: older_kek().id(),
        authority_id: authority(),
        created_at: Instant::from_millis(1),
        published_at: Some(Instant::from_millis(2)),
        active_at: Some(Instant::from_millis(3)),
        demoted_at: None,
        retired_at: None,
        destroyed_at: None,
        compromised_at: None,
        mac: unhex("d0d290322cfde7612a47c5140f92d590ca44f651bc3ff8adb0b85fac114963f8"),
    }
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let bytes = digits.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    bytes.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
}
