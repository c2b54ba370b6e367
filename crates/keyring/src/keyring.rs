use std::sync::Arc;

use attesto_core::{AuthorityId, Instant, KeyRecord, KeyState, Purpose};
use attesto_token::{Jwk, JwkSet};
use aws_lc_rs::signature::RsaKeyPair;

use crate::error::KeyringError;
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::public::{parse_jwk, public_half};
use crate::signer::Signer;
use crate::{mac, seal};

/// The opened token keys of one database. It has no `Debug`.
pub struct Keyring {
    /// In the order of their creation.
    keys: Vec<Key>,
    active: Arc<Signer>,
}

impl Keyring {
    /// Opens all keys, or none: a row that somebody tampered with, or a key that does not open, is an error even if
    /// that key would not be used.
    pub fn open(
        records: &[KeyRecord],
        keks: &KeyEncryptionKeys,
        authority: &AuthorityId,
    ) -> Result<Self, KeyringError> {
        if records.is_empty() {
            return Err(KeyringError::NoKeys);
        }
        let mut opened =
            records.iter().map(|record| Key::open(record, keks, authority)).collect::<Result<Vec<_>, _>>()?;
        opened.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(Self { active: only_active(&opened)?, keys: opened })
    }

    /// The one key that signs what is new.
    pub fn active(&self) -> &Arc<Signer> {
        &self.active
    }

    /// The key that signed something before and has to sign the same again: active or retiring.
    pub fn signer(&self, kid: &str) -> Option<&Arc<Signer>> {
        self.keys.iter().find(|key| key.public.kid == kid)?.signer.as_ref()
    }

    /// The JWK Set for resource servers: staged, active and retiring keys, the oldest first. Never empty.
    pub fn published(&self) -> JwkSet {
        self.jwk_set(KeyState::is_published)
    }

    /// The keys whose tokens the authority itself accepts: active, retiring and retired.
    pub fn verifying(&self) -> JwkSet {
        self.jwk_set(|state| matches!(state, KeyState::Active | KeyState::Retiring | KeyState::Retired))
    }

    fn jwk_set(&self, contains: impl Fn(KeyState) -> bool) -> JwkSet {
        JwkSet::new(
            self.keys.iter().filter(|key| contains(key.state)).map(|key| key.public.clone()).collect(),
        )
    }
}

struct Key {
    public: Jwk,
    state: KeyState,
    created_at: Instant,
    /// Only for the states that sign.
    signer: Option<Arc<Signer>>,
}

impl Key {
    fn open(
        record: &KeyRecord,
        keks: &KeyEncryptionKeys,
        authority: &AuthorityId,
    ) -> Result<Self, KeyringError> {
        let kek = kek_of(record, keks, authority)?;
        let public = public_of(record)?;
        let private = private_of(record, &public, kek)?;
        let signer = match record.state {
            KeyState::Active | KeyState::Retiring => {
                private.map(|key| Signer::new(record.kid.clone(), key)).transpose()?
            }
            KeyState::Staged | KeyState::Retired | KeyState::Destroyed | KeyState::Compromised => None,
        };
        Ok(Self { public, state: record.state, created_at: record.created_at, signer: signer.map(Arc::new) })
    }

    /// Sorts keys the same way everywhere, even two of the same instant.
    fn age(&self) -> (Instant, &str) {
        (self.created_at, &self.public.kid)
    }
}

fn only_active(keys: &[Key]) -> Result<Arc<Signer>, KeyringError> {
    let mut active =
        keys.iter().filter(|key| key.state == KeyState::Active).filter_map(|key| key.signer.as_ref());
    let first = active.next().ok_or(KeyringError::NoActiveKey)?;
    match active.next() {
        None => Ok(Arc::clone(first)),
        Some(second) => Err(KeyringError::TwoActiveKeys {
            first: first.kid().to_owned(),
            second: second.kid().to_owned(),
        }),
    }
}

/// The key-encryption key of a row, once the row has proved to be genuine and in its place.
fn kek_of<'a>(
    record: &KeyRecord,
    keks: &'a KeyEncryptionKeys,
    authority: &AuthorityId,
) -> Result<&'a KeyEncryptionKey, KeyringError> {
    let kid = || record.kid.clone();
    let Some(kek) = keks.find(&record.kek_id) else {
        return Err(KeyringError::KekMissing { kid: kid(), kek_id: record.kek_id.clone() });
    };
    if !mac::is_genuine(record, kek) {
        return Err(KeyringError::RowAltered { kid: kid() });
    }
    if record.authority_id != *authority {
        return Err(KeyringError::OtherAuthority { kid: kid() });
    }
    if record.purpose != Purpose::Token {
        return Err(KeyringError::OtherPurpose { kid: kid() });
    }
    Ok(kek)
}

fn public_of(record: &KeyRecord) -> Result<Jwk, KeyringError> {
    parse_jwk(&record.public_jwk)
        .filter(|jwk| jwk.kid == record.kid && jwk.kid == jwk.key.thumbprint())
        .filter(|jwk| jwk.algorithm.as_str() == record.algorithm)
        .ok_or_else(|| KeyringError::Inconsistent { kid: record.kid.clone() })
}

fn private_of(
    record: &KeyRecord,
    public: &Jwk,
    kek: &KeyEncryptionKey,
) -> Result<Option<RsaKeyPair>, KeyringError> {
    let kid = || record.kid.clone();
    let Some(sealed) = &record.sealed_private_key else {
        let needed = record.state.is_published();
        return if needed { Err(KeyringError::PrivateHalfMissing { kid: kid() }) } else { Ok(None) };
    };
    let private = seal::open(sealed, record, kek).map_err(|_| KeyringError::SealBroken { kid: kid() })?;
    let key = RsaKeyPair::from_pkcs8(&private).map_err(|_| KeyringError::Inconsistent { kid: kid() })?;
    if public_half(&key).as_ref() != Ok(public) {
        return Err(KeyringError::Inconsistent { kid: kid() });
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use attesto_core::KekId;

    use super::*;
    use crate::fixture::{ACTIVE, KEKS, NOW, STAGED, altered, authority, older_kek, rewritten};
    use crate::generate;

    fn open(records: &[KeyRecord]) -> Result<Keyring, KeyringError> {
        Keyring::open(records, &KEKS, &authority())
    }

    fn refusal(records: &[KeyRecord]) -> KeyringError {
        let error = open(records).err().expect("the keys are refused");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        error
    }

    fn in_state(state: KeyState) -> KeyRecord {
        rewritten(&STAGED, |row| row.state = state)
    }

    fn kids(set: &JwkSet) -> Vec<&str> {
        set.keys.iter().map(|key| key.kid.as_str()).collect()
    }

    #[test]
    fn each_state_says_who_signs_and_who_is_believed() {
        for (state, signs, is_published, is_accepted) in [
            (KeyState::Staged, false, true, false),
            (KeyState::Retiring, true, true, true),
            (KeyState::Retired, false, false, true),
            (KeyState::Destroyed, false, false, false),
            (KeyState::Compromised, false, false, false),
        ] {
            let keyring = open(&[ACTIVE.clone(), in_state(state)]).unwrap();
            assert_eq!(keyring.active().kid(), ACTIVE.kid);
            assert!(keyring.signer(&ACTIVE.kid).is_some_and(|signer| Arc::ptr_eq(signer, keyring.active())));
            assert_eq!(keyring.signer(&STAGED.kid).map(|signer| signer.kid()), signs.then_some(&*STAGED.kid));
            for (set, contains) in [(keyring.published(), is_published), (keyring.verifying(), is_accepted)] {
                assert!(kids(&set).contains(&ACTIVE.kid.as_str()));
                assert_eq!(kids(&set).contains(&STAGED.kid.as_str()), contains, "{state:?}");
                assert_eq!(set.keys.len(), 1 + usize::from(contains));
            }
            assert!(keyring.signer("another").is_none());
        }
    }

    #[test]
    fn what_is_published_is_public_and_in_the_same_order_whatever_the_rows_order() {
        let made = |millis| rewritten(&STAGED, |row| row.created_at = Instant::from_millis(millis));
        let publish = |rows: &[KeyRecord]| serde_json::to_string(&open(rows).unwrap().published()).unwrap();
        let (older, newer) = (made(NOW.as_millis() - 1), made(NOW.as_millis() + 1));
        for (staged, first, second) in [(&older, &*STAGED, &*ACTIVE), (&newer, &*ACTIVE, &*STAGED)] {
            let expected = format!(r#"{{"keys":[{},{}]}}"#, first.public_jwk, second.public_jwk);
            assert_eq!(publish(&[ACTIVE.clone(), staged.clone()]), expected);
            assert_eq!(publish(&[staged.clone(), ACTIVE.clone()]), expected);
        }
        assert_eq!(
            publish(&[ACTIVE.clone(), STAGED.clone()]),
            publish(&[STAGED.clone(), ACTIVE.clone()]),
            "of the same instant"
        );
        let json = publish(&[ACTIVE.clone(), older]);
        let set: serde_json::Value = serde_json::from_str(&json).unwrap();
        for key in set["keys"].as_array().unwrap() {
            let mut members: Vec<_> = key.as_object().unwrap().keys().collect();
            members.sort();
            assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        }
    }

    #[test]
    fn there_is_exactly_one_active_key() {
        assert_eq!(refusal(&[]), KeyringError::NoKeys);
        assert_eq!(refusal(std::slice::from_ref(&STAGED)), KeyringError::NoActiveKey);
        let twins = refusal(&[ACTIVE.clone(), in_state(KeyState::Active)]);
        assert!(matches!(twins, KeyringError::TwoActiveKeys { first, second } if first != second));
    }

    #[test]
    fn every_field_of_a_row_is_under_its_mac() {
        type Change = fn(&mut KeyRecord);
        let changes: [(&str, Change); 24] = [
            ("kid", |row| row.kid = STAGED.kid.clone()),
            ("algorithm", |row| row.algorithm = "ES256".to_owned()),
            ("purpose", |row| row.purpose = Purpose::Feed),
            ("state", |row| row.state = KeyState::Active),
            ("state, backwards", |row| row.state = KeyState::Staged),
            ("public_jwk", |row| row.public_jwk = STAGED.public_jwk.clone()),
            ("public_jwk, white space", |row| row.public_jwk.push(' ')),
            ("kek_id", |row| row.kek_id = older_kek().id()),
            ("authority_id", |row| row.authority_id = AuthorityId("another".to_owned())),
            ("created_at", |row| row.created_at = Instant::from_millis(1)),
            ("published_at", |row| row.published_at = Some(Instant::from_millis(1))),
            ("no published_at", |row| row.published_at = None),
            ("active_at", |row| row.active_at = Some(Instant::from_millis(1))),
            ("no active_at", |row| row.active_at = None),
            ("demoted_at", |row| row.demoted_at = Some(Instant::from_millis(1))),
            ("no demoted_at", |row| row.demoted_at = None),
            ("demoted_at for retired_at", |row| row.retired_at = row.demoted_at.take()),
            ("retired_at", |row| row.retired_at = Some(NOW)),
            ("destroyed_at", |row| row.destroyed_at = Some(NOW)),
            ("compromised_at", |row| row.compromised_at = Some(NOW)),
            ("mac", |row| row.mac[0] ^= 1),
            ("mac, cut", |row| row.mac.truncate(16)),
            ("no mac", |row| row.mac.clear()),
            ("another row's mac", |row| row.mac = STAGED.mac.clone()),
        ];
        let row = rewritten(&ACTIVE, |row| {
            row.state = KeyState::Retiring;
            row.demoted_at = Some(NOW);
        });
        let active = rewritten(&STAGED, |row| row.state = KeyState::Active);
        assert!(open(&[active.clone(), row.clone()]).is_ok());
        for (field, change) in changes {
            let altered = altered(&row, change);
            let kid = altered.kid.clone();
            assert_eq!(refusal(&[active.clone(), altered]), KeyringError::RowAltered { kid }, "{field}");
        }
    }

    #[test]
    fn a_sealed_half_opens_in_its_own_row_only() {
        let swap = |row: &KeyRecord, other: &KeyRecord| {
            altered(row, |row| row.sealed_private_key = other.sealed_private_key.clone())
        };
        let broken = |row: &KeyRecord| KeyringError::SealBroken { kid: row.kid.clone() };
        assert_eq!(refusal(&[swap(&ACTIVE, &STAGED), STAGED.clone()]), broken(&ACTIVE));
        for state in [KeyState::Staged, KeyState::Retired, KeyState::Compromised] {
            // Even if that key would not sign.
            assert_eq!(refusal(&[ACTIVE.clone(), swap(&in_state(state), &ACTIVE)]), broken(&STAGED));
        }
    }

    #[test]
    fn a_key_that_signs_now_or_soon_has_a_private_half() {
        for state in [KeyState::Staged, KeyState::Retiring] {
            let row = altered(&in_state(state), |row| row.sealed_private_key = None);
            let missing = KeyringError::PrivateHalfMissing { kid: row.kid.clone() };
            assert_eq!(refusal(&[ACTIVE.clone(), row]), missing);
        }
        let erased = altered(&in_state(KeyState::Destroyed), |row| row.sealed_private_key = None);
        assert!(open(&[ACTIVE.clone(), erased]).is_ok());
    }

    #[test]
    fn rows_need_their_own_kek_and_any_of_the_list_will_do() {
        let keks = KeyEncryptionKeys::new(older_kek(), Vec::new());
        let row = generate(&keks, &authority(), Purpose::Token, KeyState::Active, NOW).unwrap();
        assert!(open(std::slice::from_ref(&row)).is_ok(), "the second of the list");

        let strangers = KeyEncryptionKeys::new(KeyEncryptionKey::generate(), Vec::new());
        let error = Keyring::open(std::slice::from_ref(&row), &strangers, &authority()).err().unwrap();
        assert_eq!(error, KeyringError::KekMissing { kid: row.kid.clone(), kek_id: older_kek().id() });
        assert!(error.to_string().contains(&row.kid) && error.to_string().contains(&older_kek().id().0));
    }

    #[test]
    fn keys_of_another_database_or_purpose_are_refused() {
        let kid = || ACTIVE.kid.clone();
        let elsewhere =
            Keyring::open(std::slice::from_ref(&ACTIVE), &KEKS, &AuthorityId("another".to_owned()));
        assert_eq!(elsewhere.err(), Some(KeyringError::OtherAuthority { kid: kid() }));
        let feed = rewritten(&ACTIVE, |row| row.purpose = Purpose::Feed);
        assert_eq!(refusal(&[feed]), KeyringError::OtherPurpose { kid: kid() });
    }

    #[test]
    fn the_parts_of_a_row_belong_to_one_key() {
        let kek = KEKS.sealing();
        let strangers_half = seal::open(STAGED.sealed_private_key.as_ref().unwrap(), &STAGED, kek).unwrap();
        let resealed =
            |half: &[u8]| rewritten(&ACTIVE, |row| row.sealed_private_key = Some(seal::seal(half, row, kek)));
        let with_jwk = |json: String| rewritten(&ACTIVE, |row| row.public_jwk = json);
        let rows = [
            resealed(&strangers_half),
            resealed(b"no key"),
            rewritten(&ACTIVE, |row| row.algorithm = "ES256".to_owned()),
            rewritten(&ACTIVE, |row| row.kid = STAGED.kid.clone()),
            with_jwk(STAGED.public_jwk.clone()),
            with_jwk(ACTIVE.public_jwk.replace(&ACTIVE.kid, &STAGED.kid)),
            with_jwk(format!("{},{}", ACTIVE.public_jwk, STAGED.public_jwk)),
            with_jwk(format!("{},{{}}", ACTIVE.public_jwk)),
            with_jwk(String::new()),
        ];
        for row in rows {
            let inconsistent = KeyringError::Inconsistent { kid: row.kid.clone() };
            assert_eq!(refusal(&[row]), inconsistent);
        }
        let renamed = rewritten(&ACTIVE, |row| {
            row.kid = "renamed".to_owned();
            row.public_jwk = row.public_jwk.replace(&ACTIVE.kid, "renamed");
        });
        assert_eq!(refusal(&[renamed]), KeyringError::Inconsistent { kid: "renamed".to_owned() });
    }

    #[test]
    fn a_row_cannot_write_lines_into_the_log() {
        let row = altered(&ACTIVE, |row| row.kid = "a\nforged line".to_owned());
        assert!(matches!(refusal(&[row]), KeyringError::RowAltered { .. }));
        let row = altered(&ACTIVE, |row| row.kek_id = KekId("a\nforged line".to_owned()));
        assert!(matches!(refusal(&[row]), KeyringError::KekMissing { .. }));
    }
}
