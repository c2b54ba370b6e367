use std::sync::LazyLock;

use attesto_core::{AuthorityId, Instant, KeyRecord, KeyState, Purpose};

use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::{generate, mac};

pub(crate) const NOW: Instant = Instant::from_seconds(1_800_000_000);

/// The first seals, and there is an older one.
pub(crate) static KEKS: LazyLock<KeyEncryptionKeys> =
    LazyLock::new(|| KeyEncryptionKeys::new(KeyEncryptionKey::generate(), vec![older_kek()]));

pub(crate) static ACTIVE: LazyLock<KeyRecord> =
    LazyLock::new(|| generate(&KEKS, &authority(), Purpose::Token, KeyState::Active, NOW).unwrap());

pub(crate) static STAGED: LazyLock<KeyRecord> =
    LazyLock::new(|| generate(&KEKS, &authority(), Purpose::Token, KeyState::Staged, NOW).unwrap());

pub(crate) fn authority() -> AuthorityId {
    AuthorityId("an-authority".to_owned())
}

/// The bytes 0 to 31.
pub(crate) fn older_kek() -> KeyEncryptionKey {
    KeyEncryptionKey::parse(b"attesto-kek-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap()
}

/// What somebody makes of a row who has the database only.
pub(crate) fn altered(record: &KeyRecord, change: impl FnOnce(&mut KeyRecord)) -> KeyRecord {
    let mut altered = record.clone();
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
        algorithm: "RS256".to_owned(),
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
