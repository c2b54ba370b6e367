use std::time::Duration;

use attesto_core::{Instant, KeyRecord, KeyTable, Purpose};
use serde_json::Value;

use super::finding::Finding;

const CHECK: &str = "published keys";

/// Compares the JWK Set that was answered with the keys of the database. For its `lifetime` a cache may answer with one from
/// before the last change.
pub fn compare(set: &Value, table: &KeyTable, lifetime: Duration, now: Instant) -> Finding {
    let kid = |key: &Value| key["kid"].as_str().map(str::to_owned);
    let there: Vec<_> = set["keys"].as_array().into_iter().flatten().filter_map(kid).collect();
    let of_tokens: Vec<_> = table.keys.iter().filter(|key| key.purpose == Purpose::Token).collect();
    let missing: Vec<_> =
        of_tokens.iter().filter(|key| key.state.is_published() && !there.contains(&key.kid)).collect();
    let is_published = |kid: &String| of_tokens.iter().any(|key| key.kid == *kid && key.state.is_published());
    let strange: Vec<_> = there.iter().filter(|kid| !is_published(kid)).collect();
    if missing.is_empty() && strange.is_empty() {
        return Finding::ok(CHECK, format!("the {} keys of the database", there.len()));
    }
    let says = format!(
        "the issuer lacks {} keys of this database, and has {} that are none of its published ones",
        missing.len(),
        strange.len()
    );
    let since = now - lifetime;
    let is_new = |key: &KeyRecord| key.published_at.is_some_and(|at| at > since);
    let left_just_now = |kid: &String| {
        let left = table.find(kid).and_then(|key| key.retired_at.max(key.compromised_at));
        left.is_some_and(|at| at > since)
    };
    if missing.iter().all(|key| is_new(key)) && strange.iter().all(|kid| left_just_now(kid)) {
        return Finding::warning(
            CHECK,
            format!("{says}: a cache may still answer as it was before the last change"),
            "run this again after max-age and stale-while-revalidate of the JWK Set",
        );
    }
    Finding::wrong(
        CHECK,
        says,
        "another authority answers there, or a cache for longer than it may: check the address, and the proxy",
    )
}

#[cfg(test)]
mod tests {
    use attesto_core::{AuthorityId, KekId, KeyState, SigningAlgorithm};
    use serde_json::json;

    use super::super::finding::Verdict;
    use super::*;

    const NOW: Instant = Instant::from_millis(1_700_000_000_000);
    const LIFETIME: Duration = Duration::from_secs(600);

    fn key(kid: &str, state: KeyState, published: u64, retired: Option<u64>) -> KeyRecord {
        let ago = |seconds| NOW - Duration::from_secs(seconds);
        KeyRecord {
            kid: kid.to_owned(),
            algorithm: SigningAlgorithm::Rs256,
            purpose: Purpose::Token,
            state,
            public_jwk: "{}".to_owned(),
            sealed_private_key: None,
            kek_id: KekId("00ff".to_owned()),
            authority_id: AuthorityId("a-test".to_owned()),
            created_at: ago(published),
            published_at: Some(ago(published)),
            active_at: None,
            demoted_at: None,
            retired_at: retired.map(ago),
            destroyed_at: None,
            compromised_at: None,
            mac: vec![],
        }
    }

    #[test]
    fn a_cache_may_be_behind_for_the_lifetime_of_the_set() {
        let active = key("a", KeyState::Active, 9_000, None);
        let table = |others: &[KeyRecord]| KeyTable {
            keys: [std::slice::from_ref(&active), others].concat(),
            ledger: None,
        };
        for (others, answered, verdict) in [
            (vec![], vec!["a"], Verdict::Ok),
            (vec![], vec!["a", "x"], Verdict::Wrong),
            (vec![], vec![], Verdict::Wrong),
            (vec![key("s", KeyState::Staged, 599, None)], vec!["a"], Verdict::Warning),
            (vec![key("s", KeyState::Staged, 600, None)], vec!["a"], Verdict::Wrong),
            (vec![key("s", KeyState::Staged, 599, None)], vec!["a", "x"], Verdict::Wrong),
            (vec![key("r", KeyState::Retired, 9_000, Some(599))], vec!["a", "r"], Verdict::Warning),
            (vec![key("r", KeyState::Retired, 9_000, Some(600))], vec!["a", "r"], Verdict::Wrong),
            (vec![key("r", KeyState::Retired, 9_000, Some(600))], vec!["a"], Verdict::Ok),
        ] {
            let keys: Vec<_> = answered.iter().map(|kid| json!({"kid": kid})).collect();
            let found = compare(&json!({"keys": keys}), &table(&others), LIFETIME, NOW);
            assert_eq!(found.verdict, verdict, "{answered:?}");
        }
    }
}
