use std::sync::Arc;

use attesto_core::{
    AuthorityId, Instant, KeyChange, KeyLedger, KeyMoves, KeyRecord, KeyState, KeyTable, KeyUse, Line,
    SigningAlgorithm,
};

use crate::error::KeyringError;
use crate::import::ImportedKey;
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::keyring::{Keyring, check_row, kek_of, sealing_kek};
use crate::mac::{self, Format};
use crate::private::PrivateKey;
use crate::rsa_bits::RsaBits;
use crate::seal;

/// What an imported key is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportAs {
    /// It may sign one day.
    Staged,
    /// It is published for the tokens that it signed elsewhere, the last of which expires then. Its private half is
    /// not kept.
    VerifyOnly {
        /// No token of it expires later.
        until: Instant,
    },
}

/// A private key that has no row yet. It has no `Debug`.
pub struct NewKey {
    line: Line,
    key: PrivateKey,
}

impl NewKey {
    /// Makes a key. For RSA that takes up to seconds; it belongs on a thread where nobody waits.
    pub fn make(line: Line, rsa_bits: RsaBits) -> Result<Self, KeyringError> {
        let key = PrivateKey::generate(line.algorithm, rsa_bits).map_err(|_| KeyringError::NotGenerated)?;
        Ok(Self { line, key })
    }

    /// Where it belongs.
    pub fn line(&self) -> Line {
        self.line
    }
}

impl Keyring {
    /// Authenticates what was decided: the rows that move, those of the new keys, and the ledger over all. `made` holds
    /// a key for each that `moves` asks for, in the same order; they are published from `now` on.
    pub fn change(&self, moves: KeyMoves, made: &[NewKey], now: Instant) -> Result<KeyChange, KeyringError> {
        if !moves.to_make.iter().map(|(line, _)| *line).eq(made.iter().map(NewKey::line)) {
            return Err(KeyringError::NotGenerated);
        }
        let place = self.place()?;
        let mut rows = moves.moved.into_iter().map(|row| self.renewed(row)).collect::<Result<Vec<_>, _>>()?;
        for ((_, state), new) in moves.to_make.iter().zip(made) {
            rows.push(place.row(&new.key, new.line, *state, now)?);
        }
        let mut change = self.write(rows, moves.compromised)?;
        change.revocation = moves.revocation;
        Ok(change)
    }

    /// Takes in a key that somebody else made. It enters the JWK Set.
    pub fn import(&self, key: &ImportedKey, role: ImportAs, now: Instant) -> Result<KeyChange, KeyringError> {
        let kid = key.public_jwk().kid.clone();
        if self.table.find(&kid).is_some() {
            return Err(KeyringError::AlreadyHere { kid });
        }
        let private = PrivateKey::from_pkcs8(SigningAlgorithm::Rs256, key.pkcs8())
            .ok_or(KeyringError::Inconsistent { kid: kid.clone() })?;
        let line = Line::of_tokens(SigningAlgorithm::Rs256);
        let place = self.place()?;
        let mut row = place.row(&private, line, KeyState::Staged, now)?;
        if let ImportAs::VerifyOnly { .. } = role {
            row.state = KeyState::Retiring;
            row.demoted_at = Some(now);
            row.sealed_private_key = None;
            row = self.renewed(row)?;
        }
        let mut change = self.write(vec![row], None)?;
        if let ImportAs::VerifyOnly { until } = role {
            change.used = Some((kid, KeyUse { latest_exp: Some(until), signatures: 0 }));
        }
        Ok(change)
    }

    /// The next step of bringing everything under the first key-encryption key: first the ledger, so that new keys are
    /// sealed under it, then row by row. `None` when nothing needs another one.
    pub fn rewrap(&self) -> Result<Option<KeyChange>, KeyringError> {
        let first = self.keks.sealing();
        if self.ledger.kek_id != first.id() {
            let ledger = KeyLedger { kek_id: first.id(), ..self.ledger.clone() };
            return Ok(Some(self.follow(ledger, Vec::new(), first)));
        }
        match self.table.keys.iter().find(|row| row.kek_id != first.id()) {
            None => Ok(None),
            Some(row) => Ok(Some(self.write(vec![self.rewrapped(row, first)?], None)?)),
        }
    }

    /// How many rows still stand under another key-encryption key than the first.
    pub fn rows_to_rewrap(&self) -> usize {
        let first = self.keks.sealing().id();
        self.table.keys.iter().filter(|row| row.kek_id != first).count()
    }

    fn rewrapped(&self, row: &KeyRecord, kek: &KeyEncryptionKey) -> Result<KeyRecord, KeyringError> {
        let mut renewed = KeyRecord { kek_id: kek.id(), ..row.clone() };
        if let Some(sealed) = &row.sealed_private_key {
            let private = seal::open(sealed, row, kek_of(row, &self.keks)?)
                .map_err(|_| KeyringError::SealBroken { kid: row.kid.clone() })?;
            renewed.sealed_private_key = Some(seal::seal(&private, &renewed, kek));
        }
        renewed.mac = mac::mac(&renewed, kek);
        Ok(renewed)
    }

    /// The same row with a MAC for its present content.
    fn renewed(&self, row: KeyRecord) -> Result<KeyRecord, KeyringError> {
        Ok(KeyRecord { mac: mac::mac(&row, kek_of(&row, &self.keks)?), ..row })
    }

    fn write(&self, rows: Vec<KeyRecord>, compromised: Option<String>) -> Result<KeyChange, KeyringError> {
        let mut ledger = self.ledger.clone();
        ledger.rows.extend(macs(&rows));
        ledger.compromised.extend(compromised);
        Ok(self.follow(ledger, rows, sealing_kek(&self.ledger, &self.keks)?))
    }

    fn follow(&self, mut ledger: KeyLedger, rows: Vec<KeyRecord>, kek: &KeyEncryptionKey) -> KeyChange {
        ledger.version = self.ledger.version + 1;
        ledger.mac = mac::ledger_mac(&ledger, &self.authority, kek);
        KeyChange { from: Some(self.ledger.version), ledger, rows, revocation: None, used: None }
    }

    fn place(&self) -> Result<Place<'_>, KeyringError> {
        Ok(Place { authority: &self.authority, kek: sealing_kek(&self.ledger, &self.keks)? })
    }
}

/// The first keys of an authority: of every line one that signs, and one that is already published, so that an
/// emergency needs only a promotion.
pub fn first_keys(
    keks: &KeyEncryptionKeys,
    authority: &AuthorityId,
    lines: &[Line],
    rsa_bits: RsaBits,
    now: Instant,
) -> Result<KeyChange, KeyringError> {
    let place = Place { authority, kek: keks.sealing() };
    let mut rows = Vec::new();
    for line in lines {
        for state in [KeyState::Active, KeyState::Staged] {
            let new = NewKey::make(*line, rsa_bits)?;
            rows.push(place.row(&new.key, new.line, state, now)?);
        }
    }
    Ok(place.begin(rows))
}

/// Binds rows from before there were ledgers together. They have to be genuine; afterwards they are nothing without
/// their ledger.
pub fn begin_ledger(
    table: &KeyTable,
    keks: &Arc<KeyEncryptionKeys>,
    authority: &AuthorityId,
) -> Result<KeyChange, KeyringError> {
    let mut rows = table.keys.clone();
    for row in &mut rows {
        check_row(row, Format::V1, keks, authority)?;
        row.mac = mac::mac(row, kek_of(row, keks)?);
    }
    Ok(Place { authority, kek: keks.sealing() }.begin(rows))
}

/// Where a row belongs, and what seals it.
pub(crate) struct Place<'a> {
    pub(crate) authority: &'a AuthorityId,
    pub(crate) kek: &'a KeyEncryptionKey,
}

impl Place<'_> {
    pub(crate) fn row(
        &self,
        key: &PrivateKey,
        line: Line,
        state: KeyState,
        now: Instant,
    ) -> Result<KeyRecord, KeyringError> {
        let public = key.public_jwk().ok_or(KeyringError::NotGenerated)?;
        let private = key.to_pkcs8().map_err(|_| KeyringError::NotGenerated)?;
        let mut row = KeyRecord {
            public_jwk: serde_json::to_string(&public).map_err(|_| KeyringError::NotGenerated)?,
            kid: public.kid,
            algorithm: line.algorithm,
            purpose: line.purpose,
            state,
            sealed_private_key: None,
            kek_id: self.kek.id(),
            authority_id: self.authority.clone(),
            created_at: now,
            published_at: Some(now),
            active_at: (state == KeyState::Active).then_some(now),
            demoted_at: None,
            retired_at: None,
            destroyed_at: None,
            compromised_at: None,
            mac: Vec::new(),
        };
        row.sealed_private_key = Some(seal::seal(&private, &row, self.kek));
        row.mac = mac::mac(&row, self.kek);
        Ok(row)
    }

    pub(crate) fn begin(&self, rows: Vec<KeyRecord>) -> KeyChange {
        let mut ledger = KeyLedger {
            version: 1,
            rows: macs(&rows).collect(),
            compromised: Vec::new(),
            kek_id: self.kek.id(),
            mac: Vec::new(),
        };
        ledger.mac = mac::ledger_mac(&ledger, self.authority, self.kek);
        KeyChange { from: None, ledger, rows, revocation: None, used: None }
    }
}

fn macs(rows: &[KeyRecord]) -> impl Iterator<Item = (String, Vec<u8>)> {
    rows.iter().map(|row| (row.kid.clone(), row.mac.clone()))
}

#[cfg(test)]
mod tests {
    use std::slice;
    use std::time::Duration;

    use attesto_core::{Guards, Haste, KeyFacts, KeyPolicy, KeyRefusal, Purpose};
    use attesto_token::{CompactJws, Jwk, PublicKey, typ};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::fixture::{
        ACTIVE, ES256, FEED, FIRST, KEKS, NOW, RS256, altered, applied, authority, bound, made, newer_kek,
        older_kek, row_of_format_1, unhex,
    };
    use crate::public::parse_jwk;
    use crate::self_test::verify;
    use crate::signer::sign_jws;

    const LATER: Instant = Instant::from_seconds(1_800_100_000);

    /// Later than any guard has to wait.
    const MUCH_LATER: Instant = Instant::from_seconds(1_900_000_000);

    fn only(kek: KeyEncryptionKey) -> Arc<KeyEncryptionKeys> {
        Arc::new(KeyEncryptionKeys::new(kek, Vec::new()))
    }

    fn open(table: &KeyTable, keks: &Arc<KeyEncryptionKeys>) -> Result<Keyring, KeyringError> {
        Keyring::open(table.clone(), keks, &authority())
    }

    fn opened(table: &KeyTable) -> Keyring {
        open(table, &KEKS).unwrap()
    }

    fn first(lines: &[Line], keks: &KeyEncryptionKeys) -> KeyTable {
        let change = first_keys(keks, &authority(), lines, RsaBits::B2048, NOW).unwrap();
        applied(&KeyTable { keys: Vec::new(), ledger: None }, &change)
    }

    /// Makes the keys that were asked for, and authenticates everything. It opens again, one version on.
    fn changed(table: &KeyTable, moves: KeyMoves, keks: &Arc<KeyEncryptionKeys>) -> (KeyChange, KeyTable) {
        let make = |(line, _): &(Line, KeyState)| NewKey::make(*line, RsaBits::B2048).unwrap();
        let new: Vec<_> = moves.to_make.iter().map(make).collect();
        let before = open(table, keks).unwrap();
        let change = before.change(moves, &new, LATER).unwrap();
        let after = applied(table, &change);
        assert_eq!(change.from, Some(before.version()));
        assert_eq!(open(&after, keks).unwrap().version(), before.version() + 1);
        (change, after)
    }

    fn decided(decide: impl Fn(Guards<'_>) -> Result<KeyMoves, KeyRefusal>) -> KeyMoves {
        decide(Guards { policy: &KeyPolicy::default(), facts: &KeyFacts::default() }).unwrap()
    }

    fn promoted(table: &KeyTable, line: Line) -> KeyMoves {
        decided(|guards| table.promote(line, None, Haste::Emergency, guards, LATER))
    }

    fn retired(table: &KeyTable, kid: &str) -> KeyMoves {
        decided(|guards| table.retire(kid, guards, MUCH_LATER))
    }

    fn destroyed(table: &KeyTable, kid: &str) -> KeyMoves {
        decided(|guards| table.destroy(kid, guards, MUCH_LATER + Duration::from_secs(3600)))
    }

    fn compromised(table: &KeyTable, kid: &str) -> KeyMoves {
        decided(|guards| table.compromise(kid, guards, LATER))
    }

    fn states(rows: &[KeyRecord]) -> Vec<(&str, KeyState)> {
        rows.iter().map(|row| (row.kid.as_str(), row.state)).collect()
    }

    fn kid_in(rows: &[KeyRecord], line: Line, state: KeyState) -> String {
        rows.iter().find(|row| (row.line(), row.state) == (line, state)).unwrap().kid.clone()
    }

    /// Whoever may sign does, and the public half in the row verifies it.
    fn assert_signs(keyring: &Keyring) {
        for row in &keyring.table().keys {
            let Some(signer) = keyring.signer(&row.kid) else { continue };
            let token = sign_jws(&**signer, typ::ACCESS, &json!({})).now_or_never().unwrap().unwrap();
            let jws = CompactJws::split(&token).unwrap();
            let public = parse_jwk(&row.public_jwk).unwrap();
            let verified = verify(&public, jws.signing_input.as_bytes(), &jws.signature().unwrap());
            assert!(verified.is_ok(), "{}", row.kid);
            assert_eq!(jws.header().unwrap().kid.as_deref(), Some(&*row.kid));
        }
    }

    #[test]
    fn every_line_begins_with_a_key_that_signs_and_one_that_is_published() {
        let table = first(&[RS256, FEED], &KEKS);
        for (line, rows) in [(RS256, &table.keys[..2]), (FEED, &table.keys[2..])] {
            for (row, state, active_at) in
                [(&rows[0], KeyState::Active, Some(NOW)), (&rows[1], KeyState::Staged, None)]
            {
                assert_eq!((row.line(), row.state), (line, state));
                assert_eq!(row.authority_id, authority());
                assert_eq!(row.kek_id, KEKS.sealing().id());
                assert_eq!((row.created_at, row.published_at), (NOW, Some(NOW)));
                assert_eq!(row.active_at, active_at);
                let later = [row.demoted_at, row.retired_at, row.destroyed_at, row.compromised_at];
                assert_eq!(later, [None; 4]);
            }
            assert_ne!(rows[0].kid, rows[1].kid);
        }
        assert_eq!(table.keys.len(), 4);
        assert_signs(&opened(&table));
    }

    #[test]
    fn the_first_ledger_binds_the_first_keys() {
        assert_eq!((FIRST.from, FIRST.ledger.version), (None, 1));
        let expected: Vec<_> = macs(&FIRST.rows).collect();
        assert_eq!(FIRST.ledger.rows, expected.into_iter().collect());
        assert!(FIRST.ledger.compromised.is_empty());
        assert_eq!(FIRST.ledger.kek_id, KEKS.sealing().id());
        assert!(FIRST.revocation.is_none() && FIRST.used.is_none());
    }

    #[test]
    fn a_key_is_as_long_as_was_asked_and_its_name_is_its_thumbprint() {
        for (row, bits) in [(&FIRST.rows[0], 2048), (&FIRST.rows[1], 2048)] {
            let jwk = parse_jwk(&row.public_jwk).unwrap();
            assert_eq!(row.kid, jwk.key.thumbprint());
            let PublicKey::Rsa(key) = jwk.key else { panic!("not an RSA key") };
            assert_eq!((key.n.len() * 8, key.n[0] >> 7), (bits, 1));
            assert_eq!(key.e, [1, 0, 1]);
        }
        let new = NewKey::make(RS256, RsaBits::B3072).unwrap();
        assert_eq!(new.line(), RS256);
        let PublicKey::Rsa(key) = new.key.public_jwk().unwrap().key else { panic!("not an RSA key") };
        assert_eq!((key.n.len() * 8, key.n[0] >> 7), (3072, 1));
        let new = NewKey::make(FEED, RsaBits::B3072).unwrap();
        assert_eq!(new.line(), FEED);
        assert!(matches!(new.key.public_jwk().unwrap().key, PublicKey::Ec(_)));
    }

    #[test]
    fn a_second_implementation_takes_the_sealed_keys() {
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};

        let private = |row: &KeyRecord| {
            seal::open(row.sealed_private_key.as_ref().unwrap(), row, KEKS.sealing()).unwrap()
        };
        let rsa = RsaKeyPair::from_pkcs8(&private(&FIRST.rows[0])).unwrap();
        assert_eq!(rsa.public().modulus_len(), 256);
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = private(&FIRST.rows[2]);
        assert!(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).is_ok());
    }

    #[test]
    fn a_rotation_renews_the_rows_that_move_and_no_others() {
        let table = first(&[ES256, FEED], &KEKS);
        let [old, next] = [KeyState::Active, KeyState::Staged].map(|state| kid_in(&table.keys, ES256, state));
        let (change, after) = changed(&table, promoted(&table, ES256), &KEKS);

        let new = change.rows[2].clone();
        let (retiring, active, staged) = (KeyState::Retiring, KeyState::Active, KeyState::Staged);
        assert_eq!(states(&change.rows), [(&*old, retiring), (&*next, active), (&*new.kid, staged)]);
        assert_eq!((new.line(), new.created_at, new.published_at), (ES256, LATER, Some(LATER)));
        for row in &change.rows {
            assert_eq!(change.ledger.rows[&row.kid], row.mac);
            assert!(table.keys.iter().all(|before| before.mac != row.mac), "{:?}", row.state);
        }
        for row in &table.keys[2..] {
            assert_eq!(change.ledger.rows[&row.kid], row.mac, "a line that did not move");
        }
        assert_eq!(change.ledger.rows.len(), 5);
        assert!(change.revocation.is_none() && change.used.is_none() && change.ledger.compromised.is_empty());

        let keyring = opened(&after);
        assert_eq!(keyring.active(ES256).unwrap().public_jwk().kid, next);
        assert_signs(&keyring);
    }

    #[test]
    fn a_key_goes_through_all_its_states() {
        let table = first(&[ES256], &KEKS);
        let kid = kid_in(&table.keys, ES256, KeyState::Active);
        let state_in = |table: &KeyTable| table.find(&kid).unwrap().state;

        let (_, table) = changed(&table, promoted(&table, ES256), &KEKS);
        assert_eq!(state_in(&table), KeyState::Retiring);
        let (_, table) = changed(&table, retired(&table, &kid), &KEKS);
        assert_eq!(state_in(&table), KeyState::Retired);
        assert!(opened(&table).signer(&kid).is_none());
        let (_, table) = changed(&table, destroyed(&table, &kid), &KEKS);
        assert_eq!(state_in(&table), KeyState::Destroyed);
        assert_eq!(table.find(&kid).unwrap().sealed_private_key, None);
        assert_eq!(opened(&table).version(), 4);
    }

    #[test]
    fn what_is_compromised_stays_so() {
        let table = first(&[ES256], &KEKS);
        let [one, two] = [KeyState::Active, KeyState::Staged].map(|state| kid_in(&table.keys, ES256, state));
        let (change, table) = changed(&table, compromised(&table, &one), &KEKS);
        assert_eq!(
            (change.revocation.map(|record| record.id), &*change.ledger.compromised),
            (Some(one.clone()), slice::from_ref(&one))
        );
        assert_eq!(opened(&table).active(ES256).unwrap().public_jwk().kid, two);

        let (change, table) = changed(&table, compromised(&table, &two), &KEKS);
        assert_eq!(change.ledger.compromised, [one.clone(), two.clone()]);
        let (change, table) = changed(&table, KeyTable::stage(ES256), &KEKS);
        assert_eq!((change.revocation, change.ledger.compromised), (None, vec![one.clone(), two.clone()]));

        let keyring = opened(&table);
        let published = keyring.published(Purpose::Token);
        for kid in [&one, &two] {
            assert!(keyring.is_compromised(kid) && keyring.signer(kid).is_none());
            assert!(published.keys.iter().all(|key| key.kid != *kid));
        }
        assert_signs(&keyring);
    }

    #[test]
    fn new_keys_stand_where_they_were_asked_for() {
        let alone = bound(&[made(ES256, KeyState::Active), ACTIVE.clone()]);
        let kid = kid_in(&alone.keys, ES256, KeyState::Active);
        let (change, table) = changed(&alone, compromised(&alone, &kid), &KEKS);
        let states: Vec<_> = change.rows.iter().map(|row| (row.line(), row.state, row.active_at)).collect();
        assert_eq!(states[1..], [(ES256, KeyState::Active, Some(LATER)), (ES256, KeyState::Staged, None)]);
        let moves = KeyMoves {
            to_make: vec![(FEED, KeyState::Active), (RS256, KeyState::Staged)],
            ..KeyMoves::default()
        };
        let (change, _) = changed(&table, moves, &KEKS);
        let lines: Vec<_> = change.rows.iter().map(KeyRecord::line).collect();
        assert_eq!(lines, [FEED, RS256]);
    }

    fn to_import() -> (ImportedKey, Jwk) {
        let key = NewKey::make(RS256, RsaBits::B2048).unwrap().key;
        let text = STANDARD.encode(key.to_pkcs8().unwrap().as_slice());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        (ImportedKey::parse(pem.as_bytes()).unwrap(), key.public_jwk().unwrap())
    }

    #[test]
    fn an_imported_key_may_sign_one_day() {
        let table = first(&[RS256], &KEKS);
        let (key, public) = to_import();
        let change = opened(&table).import(&key, ImportAs::Staged, LATER).unwrap();
        assert_eq!((change.from, change.ledger.version), (Some(1), 2));
        assert!(change.used.is_none() && change.revocation.is_none());
        let [row] = &change.rows[..] else { panic!("one row") };
        assert_eq!((&row.kid, row.line(), row.state), (&public.kid, RS256, KeyState::Staged));
        assert_eq!((row.created_at, row.published_at, row.active_at), (LATER, Some(LATER), None));

        let table = applied(&table, &change);
        assert!(opened(&table).published(Purpose::Token).keys.contains(&public));
        assert!(opened(&table).signer(&public.kid).is_none());
        let moves =
            decided(|guards| table.promote(RS256, Some(&public.kid), Haste::Emergency, guards, LATER));
        let (_, table) = changed(&table, moves, &KEKS);
        let keyring = opened(&table);
        assert_eq!(keyring.active(RS256).unwrap().public_jwk(), &public);
        assert_signs(&keyring);
    }

    #[test]
    fn an_imported_key_that_only_verifies_leaves_its_private_half_outside() {
        let table = first(&[RS256], &KEKS);
        let (key, public) = to_import();
        let until = LATER + Duration::from_secs(3600);
        let change = opened(&table).import(&key, ImportAs::VerifyOnly { until }, LATER).unwrap();
        assert_eq!((change.from, change.ledger.version), (Some(1), 2));
        let used = KeyUse { latest_exp: Some(until), signatures: 0 };
        assert_eq!(change.used, Some((public.kid.clone(), used)));
        let [row] = &change.rows[..] else { panic!("one row") };
        assert_eq!((&row.kid, row.line(), row.state), (&public.kid, RS256, KeyState::Retiring));
        assert_eq!((row.published_at, row.active_at, row.demoted_at), (Some(LATER), None, Some(LATER)));
        assert_eq!(row.sealed_private_key, None);

        let keyring = opened(&applied(&table, &change));
        assert!(keyring.published(Purpose::Token).keys.contains(&public));
        assert_eq!(keyring.public_jwk(&public.kid), Some(&public));
        assert!(keyring.signer(&public.kid).is_none());
    }

    #[test]
    fn a_key_that_is_here_is_not_imported_again() {
        let table = first(&[RS256], &KEKS);
        let (key, public) = to_import();
        let roles = [ImportAs::Staged, ImportAs::VerifyOnly { until: LATER }];
        for role in roles {
            let table = applied(&table, &opened(&table).import(&key, role, LATER).unwrap());
            let (_, leaked) = changed(&table, compromised(&table, &public.kid), &KEKS);
            for (table, again) in
                [&table, &leaked].into_iter().flat_map(|table| roles.map(|role| (table, role)))
            {
                let refused = opened(table).import(&key, again, LATER).err().unwrap();
                assert_eq!(refused, KeyringError::AlreadyHere { kid: public.kid.clone() });
                assert!(refused.to_string().contains(&public.kid));
            }
        }
    }

    /// Keys in all states, some of them without a private half.
    fn under(keks: &Arc<KeyEncryptionKeys>) -> KeyTable {
        let mut table = first(&[RS256, ES256], keks);
        for _ in 0..4 {
            table = changed(&table, promoted(&table, ES256), keks).1;
        }
        let is_retiring = |row: &&KeyRecord| row.state == KeyState::Retiring;
        let kids: Vec<_> = table.keys.iter().filter(is_retiring).map(|row| row.kid.clone()).collect();
        for kid in &kids[..2] {
            table = changed(&table, retired(&table, kid), keks).1;
        }
        table = changed(&table, destroyed(&table, &kids[0]), keks).1;
        table = changed(&table, compromised(&table, &kids[2]), keks).1;
        let verify_only = ImportAs::VerifyOnly { until: LATER };
        let import = open(&table, keks).unwrap().import(&to_import().0, verify_only, LATER);
        applied(&table, &import.unwrap())
    }

    /// Each step is done by a process of its own, after one that was killed before it wrote.
    #[test]
    fn everything_comes_under_the_first_kek_step_by_step() {
        let (older, newer) = (only(older_kek()), only(newer_kek()));
        let before = under(&older);
        for state in ["staged", "active", "retiring", "retired", "destroyed", "compromised"] {
            assert!(before.keys.iter().any(|row| row.state.as_str() == state), "{state}");
        }
        assert!(open(&before, &newer).is_err());
        let rows = before.keys.len();
        let mut table = before.clone();
        for step in 0..=rows {
            assert_eq!(opened(&table).rows_to_rewrap(), rows - step.saturating_sub(1));
            let _lost = opened(&table).rewrap().unwrap().unwrap();
            let change = opened(&table).rewrap().unwrap().unwrap();
            assert_eq!(change.rows.len(), usize::from(step > 0), "first the ledger, then row by row");
            assert_eq!(change.ledger.kek_id, newer_kek().id());
            assert_eq!(change.ledger.version, opened(&table).version() + 1);
            assert!(change.revocation.is_none() && change.used.is_none());
            table = applied(&table, &change);
            assert_signs(&opened(&table));
            assert!(open(&table, &older).is_err(), "step {step}");
            assert_eq!(open(&table, &newer).is_ok(), step == rows, "step {step}");
        }
        assert!(opened(&table).rewrap().unwrap().is_none());
        let after = open(&table, &newer).unwrap();
        assert!(after.rewrap().unwrap().is_none());
        assert_eq!(after.rows_to_rewrap(), 0);
        assert_signs(&after);
        assert_eq!(after.ledger.compromised, before.ledger.as_ref().unwrap().compromised);
        assert_eq!(after.ledger.compromised.len(), 1);
        for row in &before.keys {
            assert_only_rewrapped(row, table.find(&row.kid).unwrap());
        }
    }

    fn assert_only_rewrapped(before: &KeyRecord, after: &KeyRecord) {
        let private = |row: &KeyRecord, kek: &KeyEncryptionKey| {
            row.sealed_private_key.as_ref().map(|sealed| seal::open(sealed, row, kek).unwrap())
        };
        assert_eq!(private(before, &older_kek()), private(after, &newer_kek()));
        let expected = KeyRecord {
            kek_id: newer_kek().id(),
            sealed_private_key: after.sealed_private_key.clone(),
            mac: after.mac.clone(),
            ..before.clone()
        };
        assert_eq!(*after, expected);
    }

    #[test]
    fn nothing_is_rewrapped_under_the_only_kek() {
        let table = first(&[ES256], &only(older_kek()));
        let keyring = open(&table, &only(older_kek())).unwrap();
        assert!(keyring.rewrap().unwrap().is_none());
        assert_eq!(keyring.rows_to_rewrap(), 0);
    }

    #[test]
    fn new_keys_stand_under_the_kek_of_the_ledger_whichever_is_first() {
        let mut table = first(&[ES256], &only(older_kek()));
        let with_newer_first = Arc::clone(&KEKS);
        for kek in [older_kek(), newer_kek()] {
            let (change, _) = changed(&table, KeyTable::stage(ES256), &with_newer_first);
            assert_eq!(change.rows[0].kek_id, kek.id());
            assert_eq!(change.ledger.kek_id, kek.id());
            let import = opened(&table).import(&to_import().0, ImportAs::Staged, LATER).unwrap();
            assert_eq!(import.rows[0].kek_id, kek.id());
            opened(&applied(&table, &import));
            if let Some(step) = opened(&table).rewrap().unwrap() {
                table = applied(&table, &step);
            }
        }
    }

    #[test]
    fn keys_rotate_in_the_midst_of_a_rewrap() {
        let mut table = first(&[ES256], &only(older_kek()));
        table = applied(&table, &opened(&table).rewrap().unwrap().unwrap());
        let (change, after) = changed(&table, promoted(&table, ES256), &KEKS);
        let keks: Vec<_> = change.rows.iter().map(|row| row.kek_id.clone()).collect();
        assert_eq!(keks, [older_kek().id(), older_kek().id(), newer_kek().id()], "a row stays under its own");
        table = after;
        for _ in 0..2 {
            table = applied(&table, &opened(&table).rewrap().unwrap().unwrap());
        }
        assert_signs(&open(&table, &only(newer_kek())).unwrap());
    }

    /// As version 0.1 left it.
    fn of_format_1(rows: &[KeyRecord], kek: &KeyEncryptionKey) -> KeyTable {
        let keys =
            rows.iter().map(|row| altered(row, |row| row.mac = mac::mac_of_format_1(row, kek))).collect();
        KeyTable { keys, ledger: None }
    }

    #[test]
    fn rows_from_before_there_were_ledgers_are_bound_together() {
        for (keks, kek) in [(Arc::clone(&KEKS), newer_kek()), (only(older_kek()), older_kek())] {
            let table = of_format_1(&first(&[RS256], &keks).keys, &kek);
            assert!(matches!(open(&table, &KEKS).err(), Some(KeyringError::RowAltered { .. })));
            // The newer key-encryption key is first, wherever the rows stand.
            let change = begin_ledger(&table, &KEKS, &authority()).unwrap();
            assert_eq!((change.from, change.ledger.version), (None, 1));
            assert_eq!(change.ledger.kek_id, newer_kek().id());
            assert!(change.ledger.compromised.is_empty() && change.revocation.is_none());
            for (before, after) in table.keys.iter().zip(&change.rows) {
                assert!(
                    mac::is_genuine(after, Format::V2, &kek) && !mac::is_genuine(after, Format::V1, &kek)
                );
                assert_eq!(*after, KeyRecord { mac: after.mac.clone(), ..before.clone() });
            }
            let table = applied(&table, &change);
            assert_eq!(table.keys.len(), 2);
            assert_signs(&opened(&table));
        }
    }

    #[test]
    fn the_row_of_format_1_becomes_that_of_format_2() {
        let table = KeyTable { keys: vec![row_of_format_1()], ledger: None };
        let change = begin_ledger(&table, &only(older_kek()), &authority()).unwrap();
        // Computed by another implementation.
        let mac = unhex("1a9151b835983f56a056be36c56dc1e4e8d4bfda13991a598d1371890733b45c");
        assert_eq!(change.rows, [altered(&row_of_format_1(), |row| row.mac = mac)]);
    }

    #[test]
    fn no_row_is_bound_that_is_not_genuine_or_has_lost_its_ledger() {
        let of_format_1 = of_format_1(&FIRST.rows[..2], &newer_kek());
        assert!(begin_ledger(&of_format_1, &KEKS, &authority()).is_ok());
        let kid = || FIRST.rows[1].kid.clone();
        let refusal = |table: &KeyTable| begin_ledger(table, &KEKS, &authority()).err().unwrap();

        let changes: [fn(&mut KeyRecord); 4] = [
            |row| row.state = KeyState::Active,
            |row| row.published_at = None,
            |row| row.public_jwk.push(' '),
            |row| row.mac[0] ^= 1,
        ];
        for change in changes {
            let table = altered(&of_format_1, |table| change(&mut table.keys[1]));
            assert_eq!(refusal(&table), KeyringError::RowAltered { kid: kid() });
        }
        let of_format_2 = altered(&of_format_1, |table| table.keys[1] = FIRST.rows[1].clone());
        assert_eq!(refusal(&of_format_2), KeyringError::RowAltered { kid: kid() });

        let another = begin_ledger(&of_format_1, &KEKS, &AuthorityId("another".to_owned()));
        assert!(matches!(another.err(), Some(KeyringError::OtherAuthority { .. })));
        let without_its_kek = begin_ledger(&of_format_1, &only(older_kek()), &authority());
        assert!(matches!(without_its_kek.err(), Some(KeyringError::KekMissing { .. })));
    }
}
