use super::algorithm::Line;
use super::guard::Guards;
use super::moves::{Haste, KeyMoves, KeyStep};
use super::record::{KeyRecord, KeyState};
use super::table::KeyTable;
use crate::instant::Instant;

/// A step of the timetable: what happens to which key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Where.
    pub line: Line,
    /// What.
    pub step: KeyStep,
    /// `None` for a key that is yet to be made.
    pub kid: Option<String>,
    /// From then on.
    pub at: Instant,
}

impl KeyTable {
    /// What is due at `now`, if anything: a server does it, then asks again. Guards hold here as they do for
    /// operators.
    pub fn due(&self, guards: Guards<'_>, now: Instant) -> Option<KeyMoves> {
        let has_come = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for line in self.active_lines() {
            if self.staged(line).is_empty() {
                return Some(Self::stage(line));
            }
            if has_come(self.rotation_at(line, guards)) {
                return self.promote(line, None, Haste::Guarded, guards, now).ok();
            }
        }
        self.keys.iter().find_map(|key| match key.state {
            KeyState::Retiring if has_come(guards.withdrawable_at(key)) => {
                self.retire(&key.kid, guards, now).ok()
            }
            KeyState::Retired if has_come(guards.destroyable_at(key)) => {
                self.destroy(&key.kid, guards, now).ok()
            }
            _ => None,
        })
    }

    /// When a line's next rotation happens by itself: the active key is old enough, and the next one is published for
    /// long enough.
    pub fn rotation_at(&self, line: Line, guards: Guards<'_>) -> Option<Instant> {
        let active_at = self.active(line)?.active_at?;
        let staged = self.staged(line);
        let next = staged.first()?;
        let staged_long_enough_at = next.published_at? + guards.policy.stage_interval;
        let old_enough_at = active_at + guards.policy.rotation_interval;
        Some(old_enough_at.max(staged_long_enough_at).max(guards.promotable_at(next)?))
    }

    /// The timetable up to the end of the next rotation, if servers run and nobody interferes; in order of time. Steps
    /// that are overdue stand at `now`.
    pub fn plan(&self, guards: Guards<'_>, now: Instant) -> Vec<PlannedStep> {
        let mut plan: Vec<_> = self.keys.iter().flat_map(|key| leaving(key, guards, now)).collect();
        for line in self.active_lines() {
            plan.extend(self.rotation(line, guards, now));
        }
        plan.sort_by_key(|planned| planned.at);
        plan
    }

    fn rotation(&self, line: Line, guards: Guards<'_>, now: Instant) -> Vec<PlannedStep> {
        let Some(at) = self.rotation_at(line, guards).map(|at| at.max(now)) else { return Vec::new() };
        let (Some(active), Some(next)) = (self.active(line), self.staged(line).first().copied()) else {
            return Vec::new();
        };
        // Where it will stand, with the longest tokens that it may have signed by then.
        let mut demoted = active.demoted(at);
        let lifetime = guards.facts.longest_access_lifetime;
        demoted.demoted_at = Some((at + LEAD * lifetime).max(at));
        let step = |step, kid: Option<&str>, at| PlannedStep { line, step, kid: kid.map(str::to_owned), at };
        let mut rotation =
            vec![step(KeyStep::Promote, Some(&next.kid), at), step(KeyStep::Demote, Some(&active.kid), at)];
        if self.staged(line).len() == 1 {
            rotation.push(step(KeyStep::Stage, None, at));
        }
        rotation.extend(leaving(&demoted, guards, at));
        rotation
    }
}

/// Servers raise `latest_exp` in steps, up to this many lifetimes ahead.
pub const LEAD: u32 = 2;

/// The last two steps of a key that no longer signs.
fn leaving(key: &KeyRecord, guards: Guards<'_>, now: Instant) -> Vec<PlannedStep> {
    let step = |step, at: Instant| PlannedStep {
        line: key.line(),
        step,
        kid: Some(key.kid.clone()),
        at: at.max(now),
    };
    match key.state {
        KeyState::Retiring => {
            let Some(retired_at) = guards.withdrawable_at(key).map(|at| at.max(now)) else {
                return Vec::new();
            };
            let retired = key.retired(retired_at);
            let destroyed_at = guards.destroyable_at(&retired).unwrap_or(retired_at);
            vec![step(KeyStep::Retire, retired_at), step(KeyStep::Destroy, destroyed_at)]
        }
        KeyState::Retired => {
            guards.destroyable_at(key).map(|at| step(KeyStep::Destroy, at)).into_iter().collect()
        }
        KeyState::Staged | KeyState::Active | KeyState::Destroyed | KeyState::Compromised => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::algorithm::SigningAlgorithm;
    use crate::key::fixture::{at, facts, key, table};
    use crate::key::guard::KeyPolicy;

    const DAY: i64 = 24 * 60 * 60;
    const LINE: Line =
        Line { purpose: super::super::record::Purpose::Token, algorithm: SigningAlgorithm::Rs256 };
    use KeyState::{Active, Compromised, Destroyed, Retired, Retiring, Staged};

    fn with_guards<T>(ask: impl Fn(Guards<'_>) -> T) -> T {
        ask(Guards { policy: &KeyPolicy::default(), facts: &facts() })
    }

    #[test]
    fn what_is_due() {
        let due = |keys: &[(&str, KeyState)], seconds| {
            let due = with_guards(|guards| table(keys).due(guards, at(seconds)))?;
            let moved = due.moved.into_iter().map(|key| (key.kid, key.state)).collect::<Vec<_>>();
            Some((moved, due.to_make.into_iter().map(|(_, state)| state).collect::<Vec<_>>()))
        };
        let moved = |keys: &[(&str, KeyState)]| {
            keys.iter().map(|(kid, state)| ((*kid).to_owned(), *state)).collect::<Vec<_>>()
        };
        let pair = [("a", Active), ("b", Staged)];
        let month = 2_000 + 30 * DAY;
        assert_eq!(due(&pair, month - 1), None);
        assert_eq!(due(&pair, month), Some((moved(&[("a", Retiring), ("b", Active)]), vec![Staged])));
        assert_eq!(due(&[("a", Active)], 2_000), Some((vec![], vec![Staged])), "always a staged key");
        assert_eq!(due(&[("b", Staged)], 99 * DAY), None, "a line begins by an operator's word");
        let pair_and = |kid, state| [pair[0], pair[1], (kid, state)];
        assert_eq!(due(&pair_and("c", Retiring), 3_309), None);
        assert_eq!(due(&pair_and("c", Retiring), 3_310), Some((moved(&[("c", Retired)]), vec![])));
        assert_eq!(due(&pair_and("c", Retired), 4_009), None);
        assert_eq!(due(&pair_and("c", Retired), 4_010), Some((moved(&[("c", Destroyed)]), vec![])));
        assert_eq!(due(&pair_and("c", Compromised), 9_000), None, "kept for whoever investigates");
        assert_eq!(due(&pair_and("c", Destroyed), 9_000), None);
    }

    #[test]
    fn a_rotation_by_itself_waits_for_a_day_on_stage() {
        let late = KeyRecord { published_at: Some(at(2_000 + 30 * DAY)), ..key("b", Staged) };
        let table = KeyTable { keys: vec![key("a", Active), late], ledger: None };
        assert_eq!(with_guards(|guards| table.rotation_at(LINE, guards)), Some(at(2_000 + 31 * DAY)));
    }

    #[test]
    fn the_timetable_ends_with_the_old_key_erased() {
        let table = table(&[("a", Active), ("b", Staged), ("c", Retiring)]);
        let plan = with_guards(|guards| table.plan(guards, at(3_000)));
        let plan: Vec<_> =
            plan.iter().map(|step| (step.at, step.step, step.kid.as_deref().unwrap_or("new"))).collect();
        let month = 2_000 + 30 * DAY;
        // Signed until the rotation, for up to 600 s, noted up to two lifetimes ahead; 300 s caches, 10 s confirmation.
        let retired = month + 1_200 + 310;
        assert_eq!(
            plan,
            [
                (at(3_310), KeyStep::Retire, "c"),
                (at(3_320), KeyStep::Destroy, "c"),
                (at(month), KeyStep::Promote, "b"),
                (at(month), KeyStep::Demote, "a"),
                (at(month), KeyStep::Stage, "new"),
                (at(retired), KeyStep::Retire, "a"),
                (at(retired + 10), KeyStep::Destroy, "a"),
            ]
        );
    }
}
