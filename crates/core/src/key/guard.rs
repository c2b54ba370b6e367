use std::time::Duration;

use super::record::{KeyRecord, KeyState};
use super::table::KeyFacts;
use crate::instant::Instant;

/// How often keys follow each other, and the terms of the guards that cannot be measured, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    /// How long a key signs before the next one takes over by itself.
    pub rotation_interval: Duration,
    /// How long a key is published at least before it takes over by itself.
    pub stage_interval: Duration,
    /// How long a verifier may wait before it asks for the set again, besides what its headers say.
    pub verifier_refresh_interval: Duration,
    /// How long a verifier may keep a set whatever its headers say (`PyJWT`: 300 s).
    pub verifier_cache_interval: Duration,
    /// How far clocks may lie apart.
    pub skew_interval: Duration,
    /// A server that has not confirmed its keys for this long neither signs nor counts.
    pub confirmation_interval: Duration,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            rotation_interval: 30 * DAY,
            stage_interval: DAY,
            verifier_refresh_interval: Duration::from_secs(600),
            verifier_cache_interval: Duration::from_secs(300),
            skew_interval: Duration::from_secs(60),
            confirmation_interval: Duration::from_secs(10),
        }
    }
}

/// From when on a key may make its next move without harm to anybody. Answers come from stored instants alone.
#[derive(Clone, Copy)]
pub struct Guards<'a> {
    /// The configured terms.
    pub policy: &'a KeyPolicy,
    /// The measured ones.
    pub facts: &'a KeyFacts,
}

impl Guards<'_> {
    /// From when on a staged key may sign: every cache and every verifier that could still hold a set without it has
    /// asked again by then.
    pub fn promotable_at(&self, key: &KeyRecord) -> Option<Instant> {
        let published_at = key.published_at.filter(|_| key.state == KeyState::Staged)?;
        Some(
            published_at
                + self.policy.confirmation_interval
                + self.facts.longest_jwks_lifetime
                + self.policy.verifier_refresh_interval
                + self.policy.skew_interval,
        )
    }

    /// From when on a retiring key may leave the JWK Set: the last access token that it signed has expired, whichever
    /// server signed it, and a set that is fetched then is not kept past that.
    pub fn withdrawable_at(&self, key: &KeyRecord) -> Option<Instant> {
        let demoted_at = key.demoted_at.filter(|_| key.state == KeyState::Retiring)?;
        let latest_exp = self.facts.of(&key.kid).latest_exp.map_or(demoted_at, |exp| exp.max(demoted_at));
        Some(latest_exp + self.policy.verifier_cache_interval + self.policy.confirmation_interval)
    }

    /// From when on the private half may be erased: of a retired key once every server has let go of it, of a
    /// compromised one at once.
    pub fn destroyable_at(&self, key: &KeyRecord) -> Option<Instant> {
        match key.state {
            KeyState::Retired => key.retired_at.map(|at| at + self.policy.confirmation_interval),
            KeyState::Compromised => key.compromised_at.filter(|_| key.sealed_private_key.is_some()),
            KeyState::Staged | KeyState::Active | KeyState::Retiring | KeyState::Destroyed => None,
        }
    }

    /// Until when a verifier may still trust a key that left the set at `now`.
    pub fn forgotten_at(&self, now: Instant) -> Instant {
        now + self.policy.confirmation_interval
            + self.facts.longest_jwks_lifetime
            + self.policy.verifier_refresh_interval.max(self.policy.verifier_cache_interval)
            + self.policy.skew_interval
    }

    /// Until when the authority needs the public half: no refresh token that the key signed lives longer. `None` while
    /// it may sign.
    pub fn needed_until(&self, key: &KeyRecord) -> Option<Instant> {
        let last_signed_at = match key.state {
            KeyState::Staged | KeyState::Active => return None,
            KeyState::Retiring | KeyState::Retired | KeyState::Destroyed => {
                key.demoted_at.or(key.retired_at)?
            }
            // It may have been leaked while it signed.
            KeyState::Compromised => key.demoted_at.or(key.compromised_at)?,
        };
        Some(last_signed_at + self.facts.longest_refresh_lifetime + self.policy.confirmation_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::fixture::{at, facts, key};
    use crate::key::table::KeyUse;

    fn guards<T>(facts: &KeyFacts, ask: impl Fn(Guards<'_>) -> T) -> T {
        ask(Guards { policy: &KeyPolicy::default(), facts })
    }

    #[test]
    fn a_staged_key_waits_for_every_cache_that_lacks_it() {
        let key = key("a", KeyState::Staged);
        let with_sets_of =
            |seconds| KeyFacts { longest_jwks_lifetime: Duration::from_secs(seconds), ..facts() };
        // Published at 1,000 s; 10 s confirmation, 600 s verifiers' refresh, 60 s skew.
        for (longest_jwks_lifetime, promotable_at) in [(0, 1_670), (600, 2_270), (7_200, 8_870)] {
            let answer = guards(&with_sets_of(longest_jwks_lifetime), |guards| guards.promotable_at(&key));
            assert_eq!(answer, Some(at(promotable_at)));
        }
    }

    #[test]
    fn a_retiring_key_waits_for_the_last_token_that_it_signed() {
        let key = key("a", KeyState::Retiring);
        let with_exp = |exp: Option<i64>| {
            let latest_exp = exp.map(at);
            let used = [("a".to_owned(), KeyUse { latest_exp, signatures: 1 })];
            KeyFacts { uses: used.into(), ..facts() }
        };
        // Demoted at 3,000 s; 300 s caches, 10 s confirmation.
        for (latest_exp, withdrawable_at) in [(None, 3_310), (Some(2_000), 3_310), (Some(3_600), 3_910)] {
            let answer = guards(&with_exp(latest_exp), |guards| guards.withdrawable_at(&key));
            assert_eq!(answer, Some(at(withdrawable_at)));
        }
    }

    #[test]
    fn every_term_of_the_guards_counts() {
        let (staged, retiring) = (key("a", KeyState::Staged), key("b", KeyState::Retiring));
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        let none = KeyPolicy {
            rotation_interval: zero,
            stage_interval: zero,
            verifier_refresh_interval: zero,
            verifier_cache_interval: zero,
            skew_interval: zero,
            confirmation_interval: zero,
        };
        let answers = |policy: KeyPolicy| {
            let facts = KeyFacts::default();
            let guards = Guards { policy: &policy, facts: &facts };
            (guards.promotable_at(&staged), guards.withdrawable_at(&retiring))
        };
        assert_eq!(answers(none), (Some(at(1_000)), Some(at(3_000))));
        for (policy, promotable_at, withdrawable_at) in [
            (KeyPolicy { verifier_refresh_interval: second, ..none }, 1_001, 3_000),
            (KeyPolicy { skew_interval: second, ..none }, 1_001, 3_000),
            (KeyPolicy { verifier_cache_interval: second, ..none }, 1_000, 3_001),
            (KeyPolicy { confirmation_interval: second, ..none }, 1_001, 3_001),
        ] {
            assert_eq!(answers(policy), (Some(at(promotable_at)), Some(at(withdrawable_at))), "{policy:?}");
        }
    }

    #[test]
    fn a_withdrawn_key_is_trusted_until_the_last_set_that_has_it_is_gone() {
        let forgotten_at = |policy: KeyPolicy, jwks| {
            let facts = KeyFacts { longest_jwks_lifetime: Duration::from_secs(jwks), ..facts() };
            Guards { policy: &policy, facts: &facts }.forgotten_at(at(0))
        };
        let default = KeyPolicy::default();
        let long_caches = KeyPolicy { verifier_cache_interval: Duration::from_secs(900), ..default };
        // 10 s confirmation, 600 s refresh or the longer cache, 60 s skew.
        assert_eq!(forgotten_at(default, 600), at(1_270));
        assert_eq!(forgotten_at(default, 7_200), at(7_870));
        assert_eq!(forgotten_at(long_caches, 600), at(1_570));
    }

    #[test]
    fn each_guard_speaks_of_its_own_states_only() {
        for (state, asked) in [
            (KeyState::Staged, [true, false, false]),
            (KeyState::Active, [false, false, false]),
            (KeyState::Retiring, [false, true, false]),
            (KeyState::Retired, [false, false, true]),
            (KeyState::Destroyed, [false, false, false]),
            (KeyState::Compromised, [false, false, true]),
        ] {
            let key = key("a", state);
            let answers = guards(&facts(), |guards| {
                [guards.promotable_at(&key), guards.withdrawable_at(&key), guards.destroyable_at(&key)]
            });
            assert_eq!(answers.map(|answer| answer.is_some()), asked, "{state:?}");
        }
    }

    #[test]
    fn the_public_half_is_kept_for_the_longest_refresh_token() {
        // Demoted at 3,000 s; 10 s confirmation; 30 days.
        let month = 30 * 24 * 60 * 60;
        for (state, needed_until) in [
            (KeyState::Staged, None),
            (KeyState::Active, None),
            (KeyState::Retiring, Some(3_010 + month)),
            (KeyState::Retired, Some(3_010 + month)),
            (KeyState::Destroyed, Some(3_010 + month)),
            (KeyState::Compromised, Some(3_010 + month)),
        ] {
            let answer = guards(&facts(), |guards| guards.needed_until(&key("a", state)));
            assert_eq!(answer, needed_until.map(at), "{state:?}");
        }
    }
}
