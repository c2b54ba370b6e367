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
    /// The latest instant at which a server of this database was seen.
    pub latest_seen_at: Option<Instant>,
}

/// A clock that was further off than this is no reason to doubt the present one.
const BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Whether this can be what became of `earlier`: keys move forward, none is forgotten, and what leaked stays leaked.
    /// An old copy that was put back cannot, whatever was built on it since.
    pub fn follows(&self, earlier: &Self) -> bool {
        let (Some(ledger), Some(before)) = (&self.ledger, &earlier.ledger) else {
            return earlier.ledger.is_none();
        };
        let is_forward = |then: &KeyRecord| self.find(&then.kid).is_some_and(|now| now.state >= then.state);
        ledger.version >= before.version
            && (ledger.version > before.version || ledger == before)
            && before.compromised.iter().all(|kid| ledger.compromised.contains(kid))
            && earlier.keys.iter().all(is_forward)
    }

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

    /// `now`, unless the clock went back: a key that is published now does not count as published earlier. A clock that
    /// was once far ahead is not believed, or nothing could be published until it is reached.
    pub fn not_before_seen(&self, now: Instant) -> Instant {
        match self.latest_seen_at {
            Some(seen_at) if seen_at.since(now) <= BELIEVED => now.max(seen_at),
            Some(_) | None => now,
        }
    }

    /// With the bounds that hold for the whole database.
    pub fn new(uses: BTreeMap<String, KeyUse>, authority: &Authority) -> Self {
        Self {
            uses,
            longest_jwks_lifetime: authority.longest_jwks_lifetime,
            longest_access_lifetime: authority.longest_access_lifetime,
            longest_refresh_lifetime: authority.longest_refresh_lifetime,
            latest_seen_at: authority.latest_seen_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::fixture::table;
    use KeyState::{Active, Compromised, Retired, Retiring, Staged};

    fn at_version(version: i64, compromised: &[&str], keys: &[(&str, KeyState)]) -> KeyTable {
        let ledger = KeyLedger {
            version,
            rows: BTreeMap::new(),
            compromised: compromised.iter().map(|kid| (*kid).to_owned()).collect(),
            kek_id: KekId("kek".to_owned()),
            mac: vec![u8::try_from(version).unwrap()],
        };
        KeyTable { ledger: Some(ledger), ..table(keys) }
    }

    #[test]
    fn a_clock_that_went_back_does_not_date_a_key_back() {
        let at = Instant::from_seconds;
        let facts = |seen: Option<i64>| KeyFacts { latest_seen_at: seen.map(at), ..KeyFacts::default() };
        let day = 24 * 60 * 60;
        for (seen, now, expected) in [
            (None, 5_000, 5_000),
            (Some(4_999), 5_000, 5_000),
            (Some(8_600), 5_000, 8_600),
            (Some(5_000 + day), 5_000, 5_000 + day),
            (Some(5_001 + day), 5_000, 5_000),
        ] {
            assert_eq!(facts(seen).not_before_seen(at(now)), at(expected), "{seen:?}");
        }
    }

    #[test]
    fn what_follows_never_goes_back() {
        let known =
            at_version(5, &["x"], &[("x", Compromised), ("a", Retiring), ("b", Active), ("c", Staged)]);
        let leads_to = |version, compromised: &[&str], keys: &[(&str, KeyState)]| {
            at_version(version, compromised, keys).follows(&known)
        };
        let later = [("x", Compromised), ("a", Retired), ("b", Retiring), ("c", Active), ("d", Staged)];
        assert!(known.follows(&known));
        assert!(leads_to(6, &["x"], &later));
        assert!(leads_to(9, &["x", "b"], &[&later[..2], &[("b", Compromised)], &later[3..]].concat()));
        assert!(known.follows(&KeyTable { ledger: None, keys: Vec::new() }), "the first that is known");

        assert!(!leads_to(4, &["x"], &later), "an older version");
        let mut other = at_version(5, &["x"], &later);
        other.ledger.as_mut().unwrap().mac = vec![99];
        assert!(!other.follows(&known), "another table of the same version");
        assert!(!leads_to(6, &[], &later), "a leak is forgotten");
        assert!(!leads_to(6, &["x"], &later[1..]), "a row is gone");
        for (at, back) in [(0, Active), (1, Active), (2, Staged)] {
            let mut keys = later;
            keys[at].1 = back;
            assert!(!leads_to(6, &["x"], &keys), "{} went back to {back:?}", keys[at].0);
        }
        assert!(!KeyTable { ledger: None, ..table(&later) }.follows(&known), "no ledger any more");
    }
}
