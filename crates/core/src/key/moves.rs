use super::algorithm::Line;
use super::guard::Guards;
use super::record::{KeyRecord, KeyState};
use super::table::{KeyLedger, KeyTable};
use crate::instant::Instant;
use crate::revocation::{Revocation, RevocationKind, VERIFIER_MARGIN};

/// A change of keys that is decided, and neither authenticated nor written yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyMoves {
    /// Rows in their new state. What stops being active stands before what becomes so.
    pub moved: Vec<KeyRecord>,
    /// Keys to make, and the state that they begin in.
    pub to_make: Vec<(Line, KeyState)>,
    /// The `kid` that is declared leaked.
    pub compromised: Option<String>,
    /// What services have to learn.
    pub revocation: Option<Revocation>,
}

/// Why keys do not change. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// There is no such key.
    Unknown {
        /// As asked for.
        kid: String,
    },
    /// Nothing could take over.
    NoStagedKey {
        /// Where.
        line: Line,
    },
    /// The key does not stand where it would have to.
    WrongState {
        /// The key.
        kid: String,
        /// Where it stands.
        state: KeyState,
        /// What was to happen to it.
        step: KeyStep,
    },
    /// Somebody could still be harmed.
    TooEarly {
        /// The key that has to wait.
        kid: String,
        /// What was to happen to it.
        step: KeyStep,
        /// From when on it may.
        until: Instant,
    },
}

/// What can happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// It is made, or imported, and published.
    Stage,
    /// It begins to sign.
    Promote,
    /// It stops signing.
    Demote,
    /// It leaves the JWK Set.
    Retire,
    /// Its private half is erased.
    Destroy,
    /// It is declared leaked.
    Compromise,
}

impl KeyStep {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Retire => "retire",
            Self::Destroy => "destroy",
            Self::Compromise => "compromise",
        }
    }
}

/// Whether a promotion waits for verifiers to have seen the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It waits.
    Guarded,
    /// It does not: verifiers that do not ask again for a key that they do not know refuse good tokens for a while.
    Emergency,
}

impl KeyTable {
    /// Makes the first keys of a line that nobody knows yet: one that signs, and one that is already published, so that
    /// an emergency needs only a promotion.
    pub fn begin(line: Line) -> KeyMoves {
        let to_make = vec![(line, KeyState::Active), (line, KeyState::Staged)];
        KeyMoves { to_make, ..KeyMoves::default() }
    }

    /// Makes a key that is published from now on.
    pub fn stage(line: Line) -> KeyMoves {
        KeyMoves { to_make: vec![(line, KeyState::Staged)], ..KeyMoves::default() }
    }

    /// Lets a staged key take over: the one that is named, or the longest published. There is a staged key afterwards.
    pub fn promote(
        &self,
        line: Line,
        kid: Option<&str>,
        haste: Haste,
        guards: Guards<'_>,
        now: Instant,
    ) -> Result<KeyMoves, KeyRefusal> {
        let next = match kid {
            None => *self.staged(line).first().ok_or(KeyRefusal::NoStagedKey { line })?,
            Some(kid) => self.standing(kid, KeyState::Staged, KeyStep::Promote)?,
        };
        if haste == Haste::Guarded {
            wait_for(next, KeyStep::Promote, guards.promotable_at(next), now)?;
        }
        Ok(self.succession(next, now))
    }

    /// Declares a key leaked. If it signs, a staged key takes over at once, or a new one if there is none.
    pub fn compromise(&self, kid: &str, guards: Guards<'_>, now: Instant) -> Result<KeyMoves, KeyRefusal> {
        let leaked = self.known(kid)?;
        if leaked.state == KeyState::Compromised {
            return Err(wrong_state(leaked, KeyStep::Compromise));
        }
        let line = leaked.line();
        let others: Vec<_> = self.staged(line).into_iter().filter(|key| key.kid != kid).collect();
        let mut moves = match (leaked.state, others.first()) {
            (KeyState::Active, Some(next)) => self.succession(next, now),
            (KeyState::Active, None) => Self::begin(line),
            (KeyState::Staged, None) => Self::stage(line),
            _ => KeyMoves::default(),
        };
        moves.moved.retain(|key| key.kid != kid);
        moves.moved.insert(0, leaked.compromised(now));
        Ok(KeyMoves { moved: moves.moved, to_make: moves.to_make, ..declared_leaked(kid, guards, now) })
    }

    /// Declares a key leaked that somebody else says leaked; one that this table has never known as well, so that services
    /// which may have it refuse it. `None` if it is declared already.
    pub fn disown(&self, kid: &str, guards: Guards<'_>, now: Instant) -> Option<KeyMoves> {
        let is_declared = |ledger: &KeyLedger| ledger.compromised.iter().any(|leaked| leaked == kid);
        if self.ledger.as_ref().is_some_and(is_declared) {
            return None;
        }
        match self.compromise(kid, guards, now) {
            Ok(moves) => Some(moves),
            Err(KeyRefusal::Unknown { .. }) => Some(declared_leaked(kid, guards, now)),
            Err(_) => None,
        }
    }

    /// Relieves the keys that have signed, after an old copy of the database was put back: what became of them since is
    /// not known, while a staged key was published then, and has signed nothing. A line without one gets one.
    pub fn relieve(
        &self,
        haste: Haste,
        guards: Guards<'_>,
        now: Instant,
    ) -> Result<Option<KeyMoves>, KeyRefusal> {
        let mut all = KeyMoves::default();
        for line in self.active_lines() {
            let has_signed = |key: &KeyRecord| guards.facts.of(&key.kid).latest_exp.is_some();
            if !self.active(line).is_some_and(has_signed) {
                continue;
            }
            let moves = match self.promote(line, None, haste, guards, now) {
                Err(KeyRefusal::NoStagedKey { line }) => Self::stage(line),
                decided => decided?,
            };
            all.moved.extend(moves.moved);
            all.to_make.extend(moves.to_make);
        }
        Ok((all != KeyMoves::default()).then_some(all))
    }

    /// Takes a key out of the JWK Set: a retiring one when its guard allows, a staged one, which never signed, at once.
    pub fn retire(&self, kid: &str, guards: Guards<'_>, now: Instant) -> Result<KeyMoves, KeyRefusal> {
        let key = self.known(kid)?;
        let line = key.line();
        let to_make = match key.state {
            KeyState::Retiring => {
                wait_for(key, KeyStep::Retire, guards.withdrawable_at(key), now)?;
                Vec::new()
            }
            KeyState::Staged if self.staged(line).len() == 1 && self.active(line).is_some() => {
                vec![(line, KeyState::Staged)]
            }
            KeyState::Staged => Vec::new(),
            _ => return Err(wrong_state(key, KeyStep::Retire)),
        };
        Ok(KeyMoves { moved: vec![key.retired(now)], to_make, ..KeyMoves::default() })
    }

    /// Erases the private half of a key that is no longer published.
    pub fn destroy(&self, kid: &str, guards: Guards<'_>, now: Instant) -> Result<KeyMoves, KeyRefusal> {
        let key = self.known(kid)?;
        if !matches!(key.state, KeyState::Retired | KeyState::Compromised) || key.destroyed_at.is_some() {
            return Err(wrong_state(key, KeyStep::Destroy));
        }
        wait_for(key, KeyStep::Destroy, guards.destroyable_at(key), now)?;
        Ok(KeyMoves { moved: vec![key.destroyed(now)], ..KeyMoves::default() })
    }

    /// `next` signs from now on, and what signed before does not.
    fn succession(&self, next: &KeyRecord, now: Instant) -> KeyMoves {
        let line = next.line();
        let demoted = self.active(line).map(|active| active.demoted(now));
        let is_last = self.staged(line).len() == 1;
        KeyMoves {
            moved: demoted.into_iter().chain([next.promoted(now)]).collect(),
            to_make: if is_last { vec![(line, KeyState::Staged)] } else { Vec::new() },
            ..KeyMoves::default()
        }
    }

    fn known(&self, kid: &str) -> Result<&KeyRecord, KeyRefusal> {
        self.find(kid).ok_or_else(|| KeyRefusal::Unknown { kid: kid.to_owned() })
    }

    fn standing(&self, kid: &str, state: KeyState, step: KeyStep) -> Result<&KeyRecord, KeyRefusal> {
        let key = self.known(kid)?;
        if key.state == state { Ok(key) } else { Err(wrong_state(key, step)) }
    }
}

fn wait_for(key: &KeyRecord, step: KeyStep, from: Option<Instant>, now: Instant) -> Result<(), KeyRefusal> {
    match from {
        Some(until) if now < until => Err(KeyRefusal::TooEarly { kid: key.kid.clone(), step, until }),
        Some(_) => Ok(()),
        None => Err(wrong_state(key, step)),
    }
}

/// What everybody has to learn of a leaked key.
fn declared_leaked(kid: &str, guards: Guards<'_>, now: Instant) -> KeyMoves {
    let revocation = Revocation {
        kind: RevocationKind::Kid,
        id: kid.to_owned(),
        not_before: now,
        expires_at: record_until(guards, now),
    };
    KeyMoves { compromised: Some(kid.to_owned()), revocation: Some(revocation), ..KeyMoves::default() }
}

/// Whoever has a leaked key can make tokens that never expire, so its record lives until the last verifier has fetched a
/// set without it, and at least as long as any other record.
fn record_until(guards: Guards<'_>, now: Instant) -> Instant {
    guards.forgotten_at(now).max(now + guards.facts.longest_access_lifetime) + VERIFIER_MARGIN
}

fn wrong_state(key: &KeyRecord, step: KeyStep) -> KeyRefusal {
    KeyRefusal::WrongState { kid: key.kid.clone(), state: key.state, step }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::algorithm::SigningAlgorithm;
    use crate::key::fixture::{at, facts, key, table};
    use crate::key::guard::KeyPolicy;
    use crate::key::record::{KekId, Purpose};
    use crate::key::table::{KeyFacts, KeyUse};

    const LINE: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Rs256 };
    use KeyState::{Active, Compromised, Destroyed, Retired, Retiring, Staged};

    /// What moves where, and in which states keys are made.
    type Decided = (Vec<(String, KeyState)>, Vec<KeyState>);

    fn decide(ask: impl Fn(Guards<'_>) -> Result<KeyMoves, KeyRefusal>) -> Result<Decided, KeyRefusal> {
        let (policy, facts) = (KeyPolicy::default(), facts());
        let decided = ask(Guards { policy: &policy, facts: &facts })?;
        let moved = decided.moved.into_iter().map(|key| (key.kid, key.state)).collect();
        Ok((moved, decided.to_make.into_iter().map(|(_, state)| state).collect()))
    }

    fn moved(keys: &[(&str, KeyState)]) -> Vec<(String, KeyState)> {
        keys.iter().map(|(kid, state)| ((*kid).to_owned(), *state)).collect()
    }

    #[test]
    fn a_promotion_waits_for_its_guard_and_not_in_an_emergency() {
        let table = table(&[("a", Active), ("b", Staged)]);
        let at_second =
            |haste, seconds| decide(|guards| table.promote(LINE, None, haste, guards, at(seconds)));
        let rotated = Ok((moved(&[("a", Retiring), ("b", Active)]), vec![Staged]));
        let too_early =
            Err(KeyRefusal::TooEarly { kid: "b".to_owned(), step: KeyStep::Promote, until: at(2_270) });
        assert_eq!(at_second(Haste::Guarded, 2_269), too_early);
        assert_eq!(at_second(Haste::Guarded, 2_270), rotated);
        assert_eq!(at_second(Haste::Emergency, 1_000), rotated);
    }

    #[test]
    fn who_takes_over() {
        let promote = |keys: &[(&str, KeyState)], kid| {
            let table = table(keys);
            decide(|guards| table.promote(LINE, kid, Haste::Emergency, guards, at(9_000)))
        };
        let wrong = |kid: &str, state| {
            Err(KeyRefusal::WrongState { kid: kid.to_owned(), state, step: KeyStep::Promote })
        };
        assert_eq!(promote(&[("a", Active)], None), Err(KeyRefusal::NoStagedKey { line: LINE }));
        assert_eq!(
            promote(&[("b", Staged)], None),
            Ok((moved(&[("b", Active)]), vec![Staged])),
            "a first key"
        );
        let two = [("a", Active), ("b", Staged), ("c", Staged)];
        assert_eq!(promote(&two, None), Ok((moved(&[("a", Retiring), ("b", Active)]), vec![])));
        assert_eq!(promote(&two, Some("c")), Ok((moved(&[("a", Retiring), ("c", Active)]), vec![])));
        assert_eq!(promote(&two, Some("a")), wrong("a", Active));
        assert_eq!(promote(&two, Some("x")), Err(KeyRefusal::Unknown { kid: "x".to_owned() }));
    }

    #[test]
    fn a_compromised_key_is_replaced_in_the_same_move() {
        let compromise = |keys: &[(&str, KeyState)], kid| {
            let table = table(keys);
            decide(|guards| table.compromise(kid, guards, at(9_000)))
        };
        let pair = [("a", Active), ("b", Staged)];
        assert_eq!(compromise(&pair, "a"), Ok((moved(&[("a", Compromised), ("b", Active)]), vec![Staged])));
        assert_eq!(compromise(&pair, "b"), Ok((moved(&[("b", Compromised)]), vec![Staged])));
        assert_eq!(
            compromise(&[("a", Active)], "a"),
            Ok((moved(&[("a", Compromised)]), vec![Active, Staged]))
        );
        for state in [Retiring, Retired, Destroyed] {
            let keys = [("a", state), ("b", Active), ("c", Staged)];
            assert_eq!(compromise(&keys, "a"), Ok((moved(&[("a", Compromised)]), vec![])), "{state:?}");
        }
        let again =
            KeyRefusal::WrongState { kid: "a".to_owned(), state: Compromised, step: KeyStep::Compromise };
        assert_eq!(compromise(&[("a", Compromised)], "a"), Err(again));
    }

    #[test]
    fn a_key_that_leaked_elsewhere_is_declared_leaked_once() {
        let known = table(&[("a", Active), ("b", Staged)]);
        let (policy, facts) = (KeyPolicy::default(), facts());
        let guards = Guards { policy: &policy, facts: &facts };
        assert_eq!(known.disown("a", guards, at(9_000)), known.compromise("a", guards, at(9_000)).ok());
        let stranger = known.disown("x", guards, at(9_000)).unwrap();
        assert_eq!((&*stranger.moved, &*stranger.to_make), (&[][..], &[][..]));
        assert_eq!(stranger.compromised.as_deref(), Some("x"));
        assert_eq!(stranger.revocation.unwrap().id, "x");
        let ledger = KeyLedger {
            version: 1,
            rows: [].into(),
            compromised: vec!["x".to_owned()],
            kek_id: KekId("kek".to_owned()),
            mac: Vec::new(),
        };
        let declared = KeyTable { ledger: Some(ledger), ..known };
        assert_eq!(declared.disown("x", guards, at(9_000)), None);
        assert_eq!(table(&[("a", Compromised)]).disown("a", guards, at(9_000)), None);
    }

    #[test]
    fn after_a_restore_whatever_has_signed_is_relieved() {
        let used = KeyUse { latest_exp: Some(at(5)), signatures: 1 };
        let facts = KeyFacts { uses: [("a".to_owned(), used)].into(), ..facts() };
        let policy = KeyPolicy::default();
        let guards = Guards { policy: &policy, facts: &facts };
        let relieve = |keys: &[(&str, KeyState)], haste, seconds| {
            let moves = table(keys).relieve(haste, guards, at(seconds))?.unwrap_or_default();
            Ok((
                moves.moved.into_iter().map(|key| (key.kid, key.state)).collect::<Vec<_>>(),
                moves.to_make.into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
            ))
        };
        let pair = [("a", Active), ("b", Staged)];
        let relieved = Ok((moved(&[("a", Retiring), ("b", Active)]), vec![Staged]));
        let too_early =
            Err(KeyRefusal::TooEarly { kid: "b".to_owned(), step: KeyStep::Promote, until: at(2_270) });
        assert_eq!(relieve(&pair, Haste::Guarded, 2_270), relieved);
        assert_eq!(relieve(&pair, Haste::Guarded, 2_269), too_early);
        assert_eq!(relieve(&pair, Haste::Emergency, 2_269), relieved);
        assert_eq!(relieve(&[("a", Active)], Haste::Guarded, 2_270), Ok((vec![], vec![Staged])));
        let unused = [("c", Active), ("b", Staged)];
        assert_eq!(relieve(&unused, Haste::Guarded, 2_270), Ok((vec![], vec![])), "as good as the next one");
    }

    #[test]
    fn services_learn_of_a_leaked_key() {
        let table = table(&[("a", Active), ("b", Staged)]);
        let (policy, facts) = (KeyPolicy::default(), facts());
        let guards = Guards { policy: &policy, facts: &facts };
        let moves = table.compromise("a", guards, at(9_000)).unwrap();
        assert_eq!(moves.compromised.as_deref(), Some("a"));
        let record = moves.revocation.unwrap();
        assert_eq!((record.kind, record.id.as_str()), (RevocationKind::Kid, "a"));
        assert_eq!((record.not_before, record.expires_at), (at(9_000), at(9_000 + 1_270 + 120)));
        let long_lived = KeyFacts { longest_access_lifetime: Duration::from_secs(3_600), ..facts.clone() };
        let guards = Guards { policy: &policy, facts: &long_lived };
        let record = table.compromise("a", guards, at(9_000)).unwrap().revocation.unwrap();
        assert_eq!(record.expires_at, at(9_000 + 3_600 + 120));
        let feed =
            KeyTable { keys: vec![KeyRecord { purpose: Purpose::Feed, ..key("f", Active) }], ledger: None };
        let record = feed.compromise("f", guards, at(9_000)).unwrap().revocation.unwrap();
        assert_eq!((record.kind, record.id.as_str()), (RevocationKind::Kid, "f"));
    }

    #[test]
    fn leaving_the_set_and_erasing() {
        let keys = [
            ("staged", Staged),
            ("active", Active),
            ("retiring", Retiring),
            ("retired", Retired),
            ("destroyed", Destroyed),
            ("compromised", Compromised),
        ];
        let table = table(&keys);
        let done = |kid, state, made: &[KeyState]| Ok((moved(&[(kid, state)]), made.to_vec()));
        for (kid, state) in keys {
            let wrong = |step| Err(KeyRefusal::WrongState { kid: kid.to_owned(), state, step });
            let early = |step, until| Err(KeyRefusal::TooEarly { kid: kid.to_owned(), step, until });
            let retire = |seconds| decide(|guards| table.retire(kid, guards, at(seconds)));
            let destroy = |seconds| decide(|guards| table.destroy(kid, guards, at(seconds)));
            match state {
                Staged => assert_eq!(retire(1_001), done(kid, Retired, &[Staged])),
                Retiring => {
                    assert_eq!(retire(3_309), early(KeyStep::Retire, at(3_310)));
                    assert_eq!(retire(3_310), done(kid, Retired, &[]));
                }
                _ => assert_eq!(retire(99_999), wrong(KeyStep::Retire)),
            }
            match state {
                Retired => {
                    assert_eq!(destroy(4_009), early(KeyStep::Destroy, at(4_010)));
                    assert_eq!(destroy(4_010), done(kid, Destroyed, &[]));
                }
                Compromised => assert_eq!(destroy(4_500), done(kid, Compromised, &[])),
                _ => assert_eq!(destroy(99_999), wrong(KeyStep::Destroy)),
            }
        }
    }

    #[test]
    fn an_erased_key_has_no_private_half() {
        let table = table(&[("a", Retired), ("b", Compromised)]);
        let (policy, facts) = (KeyPolicy::default(), facts());
        let guards = Guards { policy: &policy, facts: &facts };
        for kid in ["a", "b"] {
            let erased = table.destroy(kid, guards, at(9_000)).unwrap().moved.remove(0);
            assert_eq!((erased.sealed_private_key, erased.destroyed_at), (None, Some(at(9_000))));
        }
    }

    /// A clock that was set back an hour shortens no guard.
    #[test]
    fn no_instant_lies_before_the_one_ahead_of_it() {
        let earlier = at(500);
        assert_eq!(key("a", Staged).promoted(earlier).active_at, Some(at(1_000)));
        assert_eq!(key("a", Active).demoted(earlier).demoted_at, Some(at(2_000)));
        assert_eq!(key("a", Retiring).retired(earlier).retired_at, Some(at(3_000)));
    }
}
