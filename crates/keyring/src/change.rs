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
        let place = self.place()?;
        let mut rows = moves.moved.into_iter().map(|row| self.renewed(row)).collect::<Result<Vec<_>, _>>()?;
        for ((_, state), new) in moves.to_make.iter().zip(made) {
            rows.push(place.row(&new.key, new.line, *state, now)?);
        }
        let mut change = self.write(rows, moves.compromised)?;
        change.revoked = moves.revoked;
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
        KeyChange { from: Some(self.ledger.version), ledger, rows, revoked: None, used: None }
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
struct Place<'a> {
    authority: &'a AuthorityId,
    kek: &'a KeyEncryptionKey,
}

impl Place<'_> {
    fn row(
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

    fn begin(&self, rows: Vec<KeyRecord>) -> KeyChange {
        let mut ledger = KeyLedger {
            version: 1,
            rows: macs(&rows).collect(),
            compromised: Vec::new(),
            kek_id: self.kek.id(),
            mac: Vec::new(),
        };
        ledger.mac = mac::ledger_mac(&ledger, self.authority, self.kek);
        KeyChange { from: None, ledger, rows, revoked: None, used: None }
    }
}

fn macs(rows: &[KeyRecord]) -> impl Iterator<Item = (String, Vec<u8>)> {
    rows.iter().map(|row| (row.kid.clone(), row.mac.clone()))
}
