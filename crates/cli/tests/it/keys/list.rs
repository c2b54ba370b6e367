use serde_json::json;

use super::{kids, members};
use crate::authority::Authority;

#[test]
fn keys_are_listed_as_they_are_published() {
    let authority = Authority::dev();
    let server = authority.start();
    let keys = authority.json(&["keys", "list"]);
    let expected = "active_at algorithm compromised_at created_at demoted_at destroyed_at kek_id kid latest_exp \
                    promotable_at published_at purpose retired_at state tokens_signed withdrawable_at";
    let mut states = Vec::new();
    for key in keys.as_array().unwrap() {
        assert_eq!(members(key), expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!((&key["algorithm"], &key["purpose"]), (&json!("RS256"), &json!("token")));
        states.push(key["state"].as_str().unwrap());
    }
    states.sort_unstable();
    assert_eq!(states, ["active", "staged"]);
    assert_eq!(kids(&keys), kids(&server.get("/.well-known/jwks.json").json()["keys"]));
    assert!(authority.run(&["keys", "list"]).done().contains("staged"));
}
