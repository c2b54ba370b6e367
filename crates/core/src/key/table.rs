use std::collections::BTreeMap;
use std::time::Duration;

use super::algorithm::Line;
use super::record::{KekId, KeyRecord, KeyState};
use crate::authority::Authority;
use crate::instant::Instant;
use crate::revocation::Revocation;

/// All keys of the authority and the row that binds them together, as one consistent read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTable {
    /// The oldest first.
    pub keys: Vec<KeyRecord>,
    /// Absent only in a database from before there were ledgers.
    pub ledger: Option<KeyLedger>,
}

/// One row over all key rows: a row that is put back, added or taken away by somebody without the key-encryption key
/// does not fit it. Every change of a key takes its next version, so of two changes one is first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLedger {
    /// Rises by one with every change.
    pub version: i64,
    /// The MAC of every row, by `kid`.
    pub rows: BTreeMap<String, Vec<u8>>,
    /// Every `kid` that was ever declared leaked. It only grows.
    pub compromised: Vec<String>,
    /// The key-encryption key that made the MAC, and that seals what is new.
    pub kek_id: KekId,
    /// Over everything above.
    pub mac: Vec<u8>,
}

/// What guards go by, besides the instants of the moves. All of them are upper bounds that were written before the
/// first token or answer that they cover, so neither a crash nor a changed setting opens a guard early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// By `kid`.
    pub uses: BTreeMap<String, KeyUse>,
    /// No cache was ever told to serve a JWK Set for longer: `max-age` and `stale-while-revalidate` together.
    pub longest_jwks_lifetime: Duration,
    /// No access token was ever signed for longer.
    pub longest_access_lifetime: Duration,
    /// No refresh token was ever signed for longer.
    pub longest_refresh_lifetime: Duration,
}

/// What a key was used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// No access token that it signed expires later.
    pub latest_exp: Option<Instant>,
    /// How many tokens it signed, as far as servers have reported.
    pub signatures: i64,
}

/// What is written when keys change: all of it, on the very table that it was decided on, or nothing.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The ledger's version that this follows; `None` if there is no ledger yet.
    pub from: Option<i64>,
    /// The ledger afterwards.
    pub ledger: KeyLedger,
    /// New rows and changed ones. What stops being active stands before what becomes so.
    pub rows: Vec<KeyRecord>,
    /// What services have to learn.
    pub revocation: Option<Revocation>,
    /// The use of a key from elsewhere, as far as it is known.
    pub used: Option<(String, KeyUse)>,
}

impl KeyTable {
    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The key of a line that signs.
    pub fn active(&self, line: Line) -> Option<&KeyRecord> {
        self.of(line, KeyState::Active).next()
    }

    /// Keys of a line that may sign one day, the longest published first.
    pub fn staged(&self, line: Line) -> Vec<&KeyRecord> {
        let mut staged: Vec<_> = self.of(line, KeyState::Staged).collect();
        staged.sort_by_key(|key| (key.published_at, &key.kid));
        staged
    }

    /// The lines that sign.
    pub fn active_lines(&self) -> Vec<Line> {
        let mut lines: Vec<_> =
            self.keys.iter().filter(|key| key.state == KeyState::Active).map(KeyRecord::line).collect();
        lines.sort_unstable();
        lines
    }

    fn of(&self, line: Line, state: KeyState) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().filter(move |key| key.line() == line && key.state == state)
    }
}

impl KeyFacts {
    /// What is known of a key's use.
    pub fn of(&self, kid: &str) -> KeyUse {
        self.uses.get(kid).copied().unwrap_or_default()
    }

    /// With the bounds that hold for the whole database.
    pub fn new(uses: BTreeMap<String, KeyUse>, authority: &Authority) -> Self {
        Self {
            uses,
            longest_jwks_lifetime: authority.longest_jwks_lifetime,
            longest_access_lifetime: authority.longest_access_lifetime,
            longest_refresh_lifetime: authority.longest_refresh_lifetime,
        }
    }
}
