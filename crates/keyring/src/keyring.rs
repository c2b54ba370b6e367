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
        if table.keys.is_empty() && table.ledger.is_none() {
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

    /// The key that signed a token before and has to sign the same again: active or retiring.
    pub fn signer(&self, kid: &str) -> Option<&Arc<dyn Signer>> {
        self.of_tokens(kid)?.signer.as_ref()
    }

    /// The public half of a key that signed a token before.
    pub fn public_jwk(&self, kid: &str) -> Option<&Jwk> {
        Some(&self.of_tokens(kid)?.public)
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

    /// A feed key signs no token, whatever a session's row says.
    fn of_tokens(&self, kid: &str) -> Option<&Key> {
        let is_it = |row: &KeyRecord| row.kid == kid && row.purpose == Purpose::Token;
        Some(self.with_rows().find(|(row, _)| is_it(row))?.1)
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
    use attesto_core::{Guards, Instant, KekId, KeyFacts, KeyPolicy, SigningAlgorithm};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::change::{NewKey, Place, first_keys};
    use crate::error::SignError;
    use crate::fixture::{
        ACTIVE, ES256, FEED, FIRST, KEKS, NOW, RS256, STAGED, altered, applied, authority, bound, made,
        newer_kek, older_kek, rewritten,
    };
    use crate::rsa_bits::RsaBits;
    use crate::signer::Signing;

    fn open(table: &KeyTable) -> Result<Keyring, KeyringError> {
        Keyring::open(table.clone(), &KEKS, &authority())
    }

    /// What an operator reads: always one line.
    fn refusal(table: &KeyTable) -> KeyringError {
        let error = open(table).err().expect("the keys are refused");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        error
    }

    fn in_state(state: KeyState) -> KeyRecord {
        rewritten(&STAGED, |row| row.state = state)
    }

    /// The two rows changed places: one signs, and one did.
    fn after_rotation() -> [KeyRecord; 2] {
        let demoted = rewritten(&ACTIVE, |row| {
            row.state = KeyState::Retiring;
            row.demoted_at = Some(NOW);
        });
        [demoted, in_state(KeyState::Active)]
    }

    fn kids(set: &JwkSet) -> Vec<&str> {
        set.keys.iter().map(|key| key.kid.as_str()).collect()
    }

    fn kid_of(signer: Option<&Arc<dyn Signer>>) -> Option<&str> {
        signer.map(|signer| signer.public_jwk().kid.as_str())
    }

    #[test]
    fn each_state_says_who_signs_and_who_is_published() {
        for (state, signs, is_published) in [
            (KeyState::Staged, false, true),
            (KeyState::Retiring, true, true),
            (KeyState::Retired, false, false),
            (KeyState::Destroyed, false, false),
            (KeyState::Compromised, false, false),
        ] {
            let keyring = open(&bound(&[ACTIVE.clone(), in_state(state)])).unwrap();
            assert_eq!(kid_of(keyring.active(RS256)), Some(&*ACTIVE.kid));
            assert_eq!(kid_of(keyring.signer(&ACTIVE.kid)), Some(&*ACTIVE.kid));
            assert_eq!(kid_of(keyring.signer(&STAGED.kid)), signs.then_some(&*STAGED.kid), "{state:?}");
            let published = keyring.published(Purpose::Token);
            assert!(kids(&published).contains(&ACTIVE.kid.as_str()));
            assert_eq!(kids(&published).contains(&STAGED.kid.as_str()), is_published, "{state:?}");
            assert_eq!(published.keys.len(), 1 + usize::from(is_published));
            assert_eq!(keyring.public_jwk(&STAGED.kid).unwrap().kid, STAGED.kid, "{state:?}");
            assert!(keyring.signer("another").is_none() && keyring.public_jwk("another").is_none());
        }
    }

    #[test]
    fn a_line_has_its_own_signer() {
        let feed = made(FEED, KeyState::Active);
        let keyring = open(&bound(&[FIRST.rows.clone(), vec![feed.clone()]].concat())).unwrap();
        for (line, row) in [(RS256, &FIRST.rows[0]), (ES256, &FIRST.rows[2]), (FEED, &feed)] {
            assert_eq!(kid_of(keyring.active(line)), Some(&*row.kid), "{line}");
            assert_eq!(keyring.active(line).unwrap().algorithm().as_str(), line.algorithm.as_str());
        }
        let feed_with_rsa = Line { algorithm: SigningAlgorithm::Rs256, ..FEED };
        assert!(keyring.active(feed_with_rsa).is_none());
    }

    #[test]
    fn purposes_are_never_mixed() {
        let feed = made(FEED, KeyState::Active);
        let keyring = open(&bound(&[ACTIVE.clone(), feed.clone()])).unwrap();
        assert_eq!(kids(&keyring.published(Purpose::Token)), [&ACTIVE.kid]);
        assert_eq!(kids(&keyring.published(Purpose::Feed)), [&feed.kid]);
        let without_feed = open(&bound(std::slice::from_ref(&ACTIVE))).unwrap();
        assert!(without_feed.published(Purpose::Feed).keys.is_empty());
    }

    #[test]
    fn a_set_has_the_rows_that_are_asked_for_the_oldest_first() {
        let newer = rewritten(&STAGED, |row| {
            row.state = KeyState::Retired;
            row.created_at = Instant::from_millis(NOW.as_millis() + 1);
        });
        let keyring = open(&bound(&[newer.clone(), ACTIVE.clone()])).unwrap();
        assert_eq!(kids(&keyring.jwk_set(|_| true)), [&ACTIVE.kid, &newer.kid]);
        assert_eq!(kids(&keyring.jwk_set(|row| row.state == KeyState::Retired)), [&newer.kid]);
        assert!(keyring.jwk_set(|_| false).keys.is_empty());
    }

    #[test]
    fn what_is_published_is_public_and_in_the_same_order_whatever_the_rows_order() {
        let made_at = |millis| rewritten(&STAGED, |row| row.created_at = Instant::from_millis(millis));
        let publish = |rows: &[KeyRecord]| {
            serde_json::to_string(&open(&bound(rows)).unwrap().published(Purpose::Token)).unwrap()
        };
        let (older, newer) = (made_at(NOW.as_millis() - 1), made_at(NOW.as_millis() + 1));
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
        let json = publish(&FIRST.rows);
        let set: serde_json::Value = serde_json::from_str(&json).unwrap();
        for key in set["keys"].as_array().unwrap() {
            let mut members: Vec<_> = key.as_object().unwrap().keys().collect();
            members.sort();
            match key["kty"].as_str() {
                Some("RSA") => assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]),
                _ => assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]),
            }
        }
    }

    #[test]
    fn a_line_has_one_active_key_and_tokens_have_some_line() {
        let empty = KeyTable { keys: Vec::new(), ledger: None };
        assert_eq!(refusal(&empty), KeyringError::NoKeys);
        let emptied = KeyTable { keys: Vec::new(), ..bound(std::slice::from_ref(&ACTIVE)) };
        assert_eq!(refusal(&emptied), KeyringError::RowTakenAway { kid: ACTIVE.kid.clone() });
        assert_eq!(refusal(&bound(std::slice::from_ref(&STAGED))), KeyringError::NoActiveKey);
        let feed = made(FEED, KeyState::Active);
        assert_eq!(refusal(&bound(&[feed, STAGED.clone()])), KeyringError::NoActiveKey);
        let made_at =
            |row: &KeyRecord, millis| rewritten(row, |row| row.created_at = Instant::from_millis(millis));
        let (one, other) = (made_at(&ACTIVE, 1), made_at(&in_state(KeyState::Active), 3));
        let of_another_line = made_at(&made(ES256, KeyState::Active), 2);
        let twins = refusal(&bound(&[one, of_another_line, other]));
        let KeyringError::TwoActiveKeys { first, second } = twins else { panic!("{twins}") };
        assert!([&first, &second].contains(&&ACTIVE.kid) && [&first, &second].contains(&&STAGED.kid));
        assert_ne!(first, second);
    }

    #[test]
    fn every_field_of_a_row_is_under_its_mac() {
        type Change = fn(&mut KeyRecord);
        let changes: [(&str, Change); 24] = [
            ("kid", |row| row.kid = STAGED.kid.clone()),
            ("algorithm", |row| row.algorithm = SigningAlgorithm::Es256),
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
        let table = bound(&after_rotation());
        assert!(open(&table).is_ok());
        for (field, change) in changes {
            let table = altered(&table, |table| change(&mut table.keys[0]));
            let kid = table.keys[0].kid.clone();
            assert_eq!(refusal(&table), KeyringError::RowAltered { kid }, "{field}");
        }
    }

    #[test]
    fn every_field_of_the_ledger_is_under_its_mac() {
        type Change = fn(&mut KeyLedger);
        let changes: [(&str, Change); 17] = [
            ("version", |ledger| ledger.version += 1),
            ("version, backwards", |ledger| ledger.version -= 1),
            ("rows, one put back", |ledger| drop(ledger.rows.insert(ACTIVE.kid.clone(), ACTIVE.mac.clone()))),
            ("rows, one more", |ledger| drop(ledger.rows.insert("another".to_owned(), Vec::new()))),
            ("rows, one less", |ledger| drop(ledger.rows.remove(&STAGED.kid))),
            ("rows, another name", |ledger| {
                let mac = ledger.rows.remove(&STAGED.kid).unwrap();
                ledger.rows.insert("another".to_owned(), mac);
            }),
            ("no rows", |ledger| ledger.rows.clear()),
            ("compromised, one more", |ledger| ledger.compromised.push(STAGED.kid.clone())),
            ("compromised, one less", |ledger| drop(ledger.compromised.pop())),
            ("compromised, none", |ledger| ledger.compromised.clear()),
            ("compromised, two as one", |ledger| ledger.compromised = vec![ledger.compromised.concat()]),
            ("compromised, another", |ledger| ledger.compromised[0] = "another".to_owned()),
            ("compromised, cut elsewhere", |ledger| {
                ledger.compromised = vec!["a".to_owned(), "bc".to_owned()];
            }),
            ("kek_id", |ledger| ledger.kek_id = older_kek().id()),
            ("mac", |ledger| ledger.mac[0] ^= 1),
            ("mac, cut", |ledger| ledger.mac.truncate(16)),
            ("no mac", |ledger| ledger.mac.clear()),
        ];
        let ledger = altered(bound(&after_rotation()).ledger.as_ref().unwrap(), |ledger| {
            ledger.version = 7;
            ledger.compromised = vec!["ab".to_owned(), "c".to_owned()];
            ledger.mac = mac::ledger_mac(ledger, &authority(), KEKS.sealing());
        });
        let with = |ledger| KeyTable { keys: after_rotation().to_vec(), ledger: Some(ledger) };
        assert!(open(&with(ledger.clone())).is_ok());
        for (field, change) in changes {
            assert_eq!(refusal(&with(altered(&ledger, change))), KeyringError::LedgerAltered, "{field}");
        }
    }

    #[test]
    fn a_table_is_nothing_without_its_own_ledger() {
        let table = bound(&FIRST.rows);
        let with = |ledger| KeyTable { ledger, ..table.clone() };
        assert_eq!(refusal(&with(None)), KeyringError::LedgerMissing);
        let another = AuthorityId("another".to_owned());
        let elsewhere = Place { authority: &another, kek: KEKS.sealing() }.begin(FIRST.rows.clone());
        assert_eq!(refusal(&with(Some(elsewhere.ledger))), KeyringError::LedgerAltered);
    }

    /// Each of them was genuine once.
    #[test]
    fn an_old_row_cannot_be_put_back() {
        let rows = |state| [ACTIVE.clone(), in_state(state)];
        let states = [
            KeyState::Staged,
            KeyState::Retiring,
            KeyState::Retired,
            KeyState::Destroyed,
            KeyState::Compromised,
        ];
        for present in states {
            for past in states.into_iter().filter(|past| *past != present) {
                let table = KeyTable { keys: rows(past).to_vec(), ..bound(&rows(present)) };
                let put_back = KeyringError::RowPutBack { kid: STAGED.kid.clone() };
                assert_eq!(refusal(&table), put_back, "{past:?} for {present:?}");
            }
        }
        let signs_again = KeyTable { keys: FIRST.rows[..2].to_vec(), ..bound(&after_rotation()) };
        assert!(matches!(refusal(&signs_again), KeyringError::RowPutBack { .. }));
    }

    #[test]
    fn an_old_ledger_cannot_be_put_back_alone() {
        let before = bound(&FIRST.rows[..2]);
        let table = KeyTable { ledger: before.ledger, ..bound(&after_rotation()) };
        assert!(matches!(refusal(&table), KeyringError::RowPutBack { .. }));
    }

    #[test]
    fn a_genuine_row_cannot_be_added_or_taken_away() {
        let alone = bound(std::slice::from_ref(&ACTIVE));
        let both = bound(&FIRST.rows[..2]);
        let kid = || STAGED.kid.clone();
        let added = KeyTable { keys: both.keys.clone(), ..alone.clone() };
        assert_eq!(refusal(&added), KeyringError::RowAdded { kid: kid() });
        let taken_away = KeyTable { keys: alone.keys, ..both };
        assert_eq!(refusal(&taken_away), KeyringError::RowTakenAway { kid: kid() });
    }

    #[test]
    fn a_leaked_key_is_known_by_the_ledger() {
        let keyring = open(&bound(&FIRST.rows)).unwrap();
        let leaked = &FIRST.rows[3].kid;
        assert!(!keyring.is_compromised(leaked));
        let guards = Guards { policy: &KeyPolicy::default(), facts: &KeyFacts::default() };
        let moves = keyring.table().compromise(leaked, guards, NOW).unwrap();
        let next = NewKey::make(ES256, RsaBits::B2048).unwrap();
        let change = keyring.change(moves, &[next], NOW).unwrap();
        let keyring = open(&applied(keyring.table(), &change)).unwrap();
        assert!(keyring.is_compromised(leaked));
        assert!(!keyring.is_compromised(&ACTIVE.kid) && !keyring.is_compromised("another"));
    }

    #[test]
    fn a_sealed_half_opens_in_its_own_row_only() {
        let swap = |row: &KeyRecord, other: &KeyRecord| {
            altered(row, |row| row.sealed_private_key.clone_from(&other.sealed_private_key))
        };
        let broken = |row: &KeyRecord| KeyringError::SealBroken { kid: row.kid.clone() };
        assert_eq!(refusal(&bound(&[swap(&ACTIVE, &STAGED), STAGED.clone()])), broken(&ACTIVE));
        for state in [KeyState::Staged, KeyState::Retired, KeyState::Compromised] {
            // Even if that key would not sign.
            let table = bound(&[ACTIVE.clone(), swap(&in_state(state), &ACTIVE)]);
            assert_eq!(refusal(&table), broken(&STAGED));
        }
    }

    #[test]
    fn a_key_that_signs_now_or_soon_has_a_private_half() {
        let without = |row: &KeyRecord| altered(row, |row| row.sealed_private_key = None);
        for rows in [[without(&ACTIVE), STAGED.clone()], [without(&STAGED), ACTIVE.clone()]] {
            let missing = KeyringError::PrivateHalfMissing { kid: rows[0].kid.clone() };
            assert_eq!(refusal(&bound(&rows)), missing);
        }
        // One that only verifies was imported without.
        for state in [KeyState::Retiring, KeyState::Retired, KeyState::Destroyed, KeyState::Compromised] {
            let keyring = open(&bound(&[ACTIVE.clone(), without(&in_state(state))])).unwrap();
            assert!(keyring.signer(&STAGED.kid).is_none(), "{state:?}");
            assert!(keyring.public_jwk(&STAGED.kid).is_some(), "{state:?}");
        }
    }

    #[test]
    fn rows_need_their_own_kek_and_any_of_the_list_will_do() {
        let older = Arc::new(KeyEncryptionKeys::new(older_kek(), Vec::new()));
        let change = first_keys(&older, &authority(), &[ES256], RsaBits::B2048, NOW).unwrap();
        let table = KeyTable { keys: change.rows, ledger: Some(change.ledger) };
        assert!(open(&table).is_ok(), "the second of the list");

        let strangers = Arc::new(KeyEncryptionKeys::new(KeyEncryptionKey::generate(), Vec::new()));
        let error = Keyring::open(table.clone(), &strangers, &authority()).err().unwrap();
        let first = table.keys.iter().min_by_key(|row| age(row)).unwrap();
        assert_eq!(error, KeyringError::KekMissing { kid: first.kid.clone(), kek_id: older_kek().id() });
        assert!(error.to_string().contains(&first.kid) && error.to_string().contains(&older_kek().id().0));
    }

    #[test]
    fn the_ledger_needs_its_own_kek() {
        let kek = older_kek();
        let change = Place { authority: &authority(), kek: &kek }.begin(FIRST.rows.clone());
        let table = KeyTable { keys: change.rows, ledger: Some(change.ledger) };
        assert!(open(&table).is_ok(), "the second of the list");
        let newer = Arc::new(KeyEncryptionKeys::new(newer_kek(), Vec::new()));
        let error = Keyring::open(table, &newer, &authority()).err().unwrap();
        assert_eq!(error, KeyringError::KekOfLedgerMissing { kek_id: kek.id() });
        assert!(error.to_string().contains(&kek.id().0));
    }

    #[test]
    fn keys_of_another_database_are_refused() {
        let table = bound(std::slice::from_ref(&ACTIVE));
        let elsewhere = Keyring::open(table, &KEKS, &AuthorityId("another".to_owned()));
        assert_eq!(elsewhere.err(), Some(KeyringError::OtherAuthority { kid: ACTIVE.kid.clone() }));
    }

    #[test]
    fn the_parts_of_a_row_belong_to_one_key() {
        let kek = KEKS.sealing();
        let half_of =
            |row: &KeyRecord| seal::open(row.sealed_private_key.as_ref().unwrap(), row, kek).unwrap();
        let resealed =
            |half: &[u8]| rewritten(&ACTIVE, |row| row.sealed_private_key = Some(seal::seal(half, row, kek)));
        let with_jwk = |json: String| rewritten(&ACTIVE, |row| row.public_jwk = json);
        let ec = &FIRST.rows[2];
        let rows = [
            resealed(&half_of(&STAGED)),
            resealed(&half_of(ec)),
            resealed(b"no key"),
            rewritten(&ACTIVE, |row| row.algorithm = SigningAlgorithm::Es256),
            rewritten(ec, |row| row.algorithm = SigningAlgorithm::Rs256),
            rewritten(&ACTIVE, |row| row.kid = STAGED.kid.clone()),
            with_jwk(STAGED.public_jwk.clone()),
            with_jwk(ec.public_jwk.clone()),
            with_jwk(ACTIVE.public_jwk.replace("RS256", "PS256")),
            with_jwk(ACTIVE.public_jwk.replace(&ACTIVE.kid, &STAGED.kid)),
            with_jwk(format!("{},{}", ACTIVE.public_jwk, STAGED.public_jwk)),
            with_jwk(format!("{},{{}}", ACTIVE.public_jwk)),
            with_jwk(String::new()),
        ];
        for row in rows {
            let inconsistent = KeyringError::Inconsistent { kid: row.kid.clone() };
            assert_eq!(refusal(&bound(&[row])), inconsistent);
        }
        let renamed = rewritten(&ACTIVE, |row| {
            row.kid = "renamed".to_owned();
            row.public_jwk = row.public_jwk.replace(&ACTIVE.kid, "renamed");
        });
        assert_eq!(refusal(&bound(&[renamed])), KeyringError::Inconsistent { kid: "renamed".to_owned() });
    }

    #[test]
    fn neither_a_row_nor_the_ledger_can_write_lines_into_the_log() {
        const FORGED: &str = "a\nforged line\u{1b}[2J\u{2028}";
        let refused = |change: fn(&mut KeyTable)| {
            let error = refusal(&altered(&bound(&FIRST.rows), change));
            let text = error.to_string();
            assert!(text.contains(r"a\nforged line\u{1b}[2J\u{2028}"), "{text}");
            error
        };
        let row = refused(|table| table.keys[0].kid = FORGED.to_owned());
        assert!(matches!(row, KeyringError::RowAltered { .. }), "{row}");
        let row = refused(|table| table.keys[0].kek_id = KekId(FORGED.to_owned()));
        assert!(matches!(row, KeyringError::KekMissing { .. }), "{row}");
        let ledger = refused(|table| table.ledger.as_mut().unwrap().kek_id = KekId(FORGED.to_owned()));
        assert!(matches!(ledger, KeyringError::KekOfLedgerMissing { .. }), "{ledger}");
    }

    /// Signs nothing, and passes for the signer below.
    struct Down(Arc<dyn Signer>);

    impl Signer for Down {
        fn public_jwk(&self) -> &Jwk {
            self.0.public_jwk()
        }

        fn sign<'a>(&'a self, _: &'a [u8]) -> Signing<'a> {
            Box::pin(std::future::ready(Err(SignError::Unreachable)))
        }
    }

    #[test]
    fn a_layer_lies_over_every_signer_and_makes_none() {
        let keyring = open(&bound(&FIRST.rows)).unwrap().layered(|signer| Arc::new(Down(signer)));
        for row in &FIRST.rows {
            let signed = keyring.signer(&row.kid).map(|signer| signer.sign(b"").now_or_never().unwrap());
            let expected = (row.state == KeyState::Active).then_some(Err(SignError::Unreachable));
            assert_eq!(signed, expected, "{:?}", row.state);
        }
        assert_eq!(kid_of(keyring.active(ES256)), Some(&*FIRST.rows[2].kid));
    }
}
