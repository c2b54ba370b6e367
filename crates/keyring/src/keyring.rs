use std::sync::Arc;

use attesto_core::{AuthorityId, KeyLedger, KeyRecord, KeyState, KeyTable, Line, Purpose};
use attesto_token::{Jwk, JwkSet};

use crate::error::KeyringError;
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::mac::{self, Format};
use crate::private::PrivateKey;
use crate::public::parse_jwk;
use crate::seal;
use crate::signer::{OpenKey, Signer};

/// The keys of an authority, opened: every row is genuine, none is missing, and no private half refused to open.
pub struct Keyring {
    pub(crate) table: KeyTable,
    pub(crate) ledger: KeyLedger,
    pub(crate) keks: Arc<KeyEncryptionKeys>,
    pub(crate) authority: AuthorityId,
    /// In the order of the table.
    keys: Vec<Key>,
}

struct Key {
    public: Jwk,
    /// Only for the states that sign.
    signer: Option<Arc<dyn Signer>>,
}

impl Keyring {
    /// Opens all keys, or none: a row that somebody tampered with, put back or took away, or a key that does not open,
    /// is an error even if that key would not be used.
    pub fn open(
        mut table: KeyTable,
        keks: &Arc<KeyEncryptionKeys>,
        authority: &AuthorityId,
    ) -> Result<Self, KeyringError> {
        if table.keys.is_empty() {
            return Err(KeyringError::NoKeys);
        }
        table.keys.sort_by(|one, other| age(one).cmp(&age(other)));
        for key in &table.keys {
            check_row(key, Format::V2, keks, authority)?;
        }
        let ledger = table.ledger.clone().ok_or(KeyringError::LedgerMissing)?;
        check_ledger(&ledger, &table.keys, keks, authority)?;
        check_active(&table.keys)?;
        let opened = table.keys.iter().map(|row| Key::open(row, keks)).collect::<Result<_, _>>()?;
        Ok(Self { table, ledger, keks: Arc::clone(keks), authority: authority.clone(), keys: opened })
    }

    /// The rows, as they were opened.
    pub fn table(&self) -> &KeyTable {
        &self.table
    }

    /// The version of the ledger.
    pub fn version(&self) -> i64 {
        self.ledger.version
    }

    /// The one key of a line that signs what is new.
    pub fn active(&self, line: Line) -> Option<&Arc<dyn Signer>> {
        let is_active = |row: &KeyRecord| row.state == KeyState::Active && row.line() == line;
        self.with_rows().find(|(row, _)| is_active(row))?.1.signer.as_ref()
    }

    /// The key that signed something before and has to sign the same again: active or retiring.
    pub fn signer(&self, kid: &str) -> Option<&Arc<dyn Signer>> {
        self.with_rows().find(|(row, _)| row.kid == kid)?.1.signer.as_ref()
    }

    /// The public half of a key that may still be asked about.
    pub fn public_jwk(&self, kid: &str) -> Option<&Jwk> {
        Some(&self.with_rows().find(|(row, _)| row.kid == kid)?.1.public)
    }

    /// Whether a key was declared leaked: what it signed proves nothing.
    pub fn is_compromised(&self, kid: &str) -> bool {
        self.ledger.compromised.iter().any(|leaked| leaked == kid)
    }

    /// The JWK Set of a purpose: staged, active and retiring keys, the oldest first. Never empty for tokens.
    pub fn published(&self, purpose: Purpose) -> JwkSet {
        self.jwk_set(|row| row.purpose == purpose && row.state.is_published())
    }

    /// The public halves of the rows that `contains` takes, the oldest first.
    pub fn jwk_set(&self, contains: impl Fn(&KeyRecord) -> bool) -> JwkSet {
        let chosen = self.with_rows().filter(|(row, _)| contains(row));
        JwkSet::new(chosen.map(|(_, key)| key.public.clone()).collect())
    }

    /// The same keys, each signing through what `layer` makes of it.
    pub fn layered(mut self, layer: impl Fn(Arc<dyn Signer>) -> Arc<dyn Signer>) -> Self {
        for key in &mut self.keys {
            key.signer = key.signer.take().map(&layer);
        }
        self
    }

    fn with_rows(&self) -> impl Iterator<Item = (&KeyRecord, &Key)> {
        self.table.keys.iter().zip(&self.keys)
    }
}

impl Key {
    fn open(row: &KeyRecord, keks: &KeyEncryptionKeys) -> Result<Self, KeyringError> {
        let public = public_of(row)?;
        let private = private_of(row, &public, keks)?;
        let signer = match row.state {
            KeyState::Active | KeyState::Retiring => {
                private.map(|key| OpenKey::shared(public.clone(), key)).transpose()?
            }
            KeyState::Staged | KeyState::Retired | KeyState::Destroyed | KeyState::Compromised => None,
        };
        Ok(Self { public, signer })
    }
}

/// Sorts keys the same way everywhere, even two of the same instant.
fn age(row: &KeyRecord) -> (attesto_core::Instant, &str) {
    (row.created_at, &row.kid)
}

/// A row proves to be genuine and in its place.
pub(crate) fn check_row(
    row: &KeyRecord,
    format: Format,
    keks: &KeyEncryptionKeys,
    authority: &AuthorityId,
) -> Result<(), KeyringError> {
    let kid = || row.kid.clone();
    if !mac::is_genuine(row, format, kek_of(row, keks)?) {
        return Err(KeyringError::RowAltered { kid: kid() });
    }
    if row.authority_id != *authority {
        return Err(KeyringError::OtherAuthority { kid: kid() });
    }
    Ok(())
}

/// The ledger is genuine, and it knows exactly these rows.
fn check_ledger(
    ledger: &KeyLedger,
    rows: &[KeyRecord],
    keks: &KeyEncryptionKeys,
    authority: &AuthorityId,
) -> Result<(), KeyringError> {
    let kek = sealing_kek(ledger, keks)?;
    if !mac::is_genuine_ledger(ledger, authority, kek) {
        return Err(KeyringError::LedgerAltered);
    }
    for row in rows {
        match ledger.rows.get(&row.kid) {
            Some(mac) if *mac == row.mac => {}
            Some(_) => return Err(KeyringError::RowPutBack { kid: row.kid.clone() }),
            None => return Err(KeyringError::RowAdded { kid: row.kid.clone() }),
        }
    }
    match ledger.rows.keys().find(|kid| rows.iter().all(|row| row.kid != **kid)) {
        None => Ok(()),
        Some(kid) => Err(KeyringError::RowTakenAway { kid: kid.clone() }),
    }
}

/// The key-encryption key that the ledger stands under, which seals what is new.
pub(crate) fn sealing_kek<'a>(
    ledger: &KeyLedger,
    keks: &'a KeyEncryptionKeys,
) -> Result<&'a KeyEncryptionKey, KeyringError> {
    keks.find(&ledger.kek_id)
        .ok_or_else(|| KeyringError::KekOfLedgerMissing { kek_id: ledger.kek_id.clone() })
}

fn check_active(rows: &[KeyRecord]) -> Result<(), KeyringError> {
    let mut active: Vec<_> = rows.iter().filter(|row| row.state == KeyState::Active).collect();
    active.sort_by_key(|row| row.line());
    if let Some(twins) = active.windows(2).find(|pair| pair[0].line() == pair[1].line()) {
        let (first, second) = (twins[0].kid.clone(), twins[1].kid.clone());
        return Err(KeyringError::TwoActiveKeys { first, second });
    }
    if !active.iter().any(|row| row.purpose == Purpose::Token) {
        return Err(KeyringError::NoActiveKey);
    }
    Ok(())
}

pub(crate) fn kek_of<'a>(
    row: &KeyRecord,
    keks: &'a KeyEncryptionKeys,
) -> Result<&'a KeyEncryptionKey, KeyringError> {
    keks.find(&row.kek_id)
        .ok_or_else(|| KeyringError::KekMissing { kid: row.kid.clone(), kek_id: row.kek_id.clone() })
}

fn public_of(row: &KeyRecord) -> Result<Jwk, KeyringError> {
    parse_jwk(&row.public_jwk)
        .filter(|jwk| jwk.kid == row.kid && jwk.kid == jwk.key.thumbprint())
        .filter(|jwk| jwk.algorithm.as_str() == row.algorithm.as_str())
        .ok_or_else(|| KeyringError::Inconsistent { kid: row.kid.clone() })
}

fn private_of(
    row: &KeyRecord,
    public: &Jwk,
    keks: &KeyEncryptionKeys,
) -> Result<Option<PrivateKey>, KeyringError> {
    let kid = || row.kid.clone();
    let Some(sealed) = &row.sealed_private_key else {
        let needed = matches!(row.state, KeyState::Staged | KeyState::Active);
        return if needed { Err(KeyringError::PrivateHalfMissing { kid: kid() }) } else { Ok(None) };
    };
    let private =
        seal::open(sealed, row, kek_of(row, keks)?).map_err(|_| KeyringError::SealBroken { kid: kid() })?;
    PrivateKey::from_pkcs8(row.algorithm, &private)
        .filter(|key| key.public_jwk().as_ref() == Some(public))
        .map(Some)
        .ok_or_else(|| KeyringError::Inconsistent { kid: kid() })
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
