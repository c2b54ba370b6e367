use std::time::Duration;

use super::algorithm::SigningAlgorithm;
use super::record::{KekId, KeyRecord, KeyState, Purpose};
use super::table::{KeyFacts, KeyTable};
use crate::authority::AuthorityId;
use crate::instant::Instant;

pub(super) fn at(seconds: i64) -> Instant {
    Instant::from_seconds(seconds)
}

/// A key that was made and published at 1,000 s and moved on every 1,000 s until it stood in `state`.
pub(super) fn key(kid: &str, state: KeyState) -> KeyRecord {
    use KeyState::{Active, Compromised, Destroyed, Retired, Retiring};

    let reached = |states: &[KeyState], seconds| states.contains(&state).then(|| at(seconds));
    KeyRecord {
        kid: kid.to_owned(),
        algorithm: SigningAlgorithm::Rs256,
        purpose: Purpose::Token,
        state,
        public_jwk: String::new(),
        sealed_private_key: (state != Destroyed).then(|| vec![1]),
        kek_id: KekId("kek".to_owned()),
        authority_id: AuthorityId("authority".to_owned()),
        created_at: at(1_000),
        published_at: Some(at(1_000)),
        active_at: reached(&[Active, Retiring, Retired, Destroyed, Compromised], 2_000),
        demoted_at: reached(&[Retiring, Retired, Destroyed, Compromised], 3_000),
        retired_at: reached(&[Retired, Destroyed], 4_000),
        destroyed_at: reached(&[Destroyed], 5_000),
        compromised_at: reached(&[Compromised], 4_500),
        mac: vec![2],
    }
}

pub(super) fn table(keys: &[(&str, KeyState)]) -> KeyTable {
    KeyTable { keys: keys.iter().map(|(kid, state)| key(kid, *state)).collect(), ledger: None }
}

pub(super) fn facts() -> KeyFacts {
    KeyFacts {
        longest_jwks_lifetime: Duration::from_secs(600),
        longest_access_lifetime: Duration::from_secs(600),
        longest_refresh_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
        ..KeyFacts::default()
    }
}
