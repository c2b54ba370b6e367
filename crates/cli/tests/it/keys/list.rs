use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{kid_of, kids, list, list_all, members, quick, text};
use crate::authority::{Authority, CONFIGURATION};
use crate::process::until;

#[test]
fn keys_are_listed_as_they_are_published() {
    let authority = Authority::dev();
    let server = authority.start();
    let keys = authority.json(&["keys", "list"]);
    let of_tokens = authority.json(&["keys", "list", "--purpose", "token"]);
    let expected = "active_at algorithm compromised_at created_at demoted_at destroyed_at kek_id kid latest_exp \
                    promotable_at published_at purpose retired_at state tokens_signed withdrawable_at";
    let mut states = Vec::new();
    for key in keys.as_array().unwrap() {
        assert_eq!(members(key), expected.split_whitespace().collect::<Vec<_>>());
        states.push(["purpose", "algorithm", "state"].map(|name| text(&key[name])).join(" "));
    }
    states.sort_unstable();
    let expected = ["feed ES256 active", "feed ES256 staged", "token RS256 active", "token RS256 staged"];
    assert_eq!(states, expected);
    let published = |path| kids(&server.get(path).json()["keys"]);
    assert_eq!(kids(&of_tokens), published("/.well-known/jwks.json"));
    let of_both: BTreeSet<_> = &published("/.well-known/jwks.json") | &published("/revocations/keys");
    assert_eq!(kids(&keys), of_both);

    let table = authority.run(&["keys", "list"]).done();
    for heading in
        ["state", "age", "published since", "may be promoted at", "may be withdrawn at", "tokens signed"]
    {
        assert!(table.contains(heading), "{table}");
    }
    for key in keys.as_array().unwrap() {
        assert!(table.contains(key["kid"].as_str().unwrap()), "{table}");
    }
}

#[test]
fn what_a_key_signed_is_counted() {
    let authority = Authority::dev();
    let server = authority.start();
    let active = || list(&authority).into_iter().find(|key| key["state"] == "active").unwrap();
    assert_eq!((&active()["tokens_signed"], &active()["latest_exp"]), (&json!(0), &Value::Null));
    for _ in 0..3 {
        server.sign_in();
    }
    let counted = until("the server reports", || Some(active()).filter(|key| key["tokens_signed"] != 0));
    assert_eq!(counted["tokens_signed"], 6, "three pairs");
    assert!(counted["latest_exp"].is_string(), "{counted}");
}

/// The list needs no server, and says of each key what its guards say.
#[test]
fn token_keys_come_before_feed_keys_and_old_ones_before_new_ones() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    let keys = list_all(&authority);
    let lines: Vec<_> = keys.iter().map(|key| (text(&key["purpose"]), text(&key["algorithm"]))).collect();
    let line = |purpose: &str, algorithm: &str| (purpose.to_owned(), algorithm.to_owned());
    let rs256 = line("token", "RS256");
    let feed = line("feed", "ES256");
    assert_eq!(lines, [rs256.clone(), rs256, line("token", "ES256"), feed.clone(), feed]);
    let created: Vec<_> = keys[..3].iter().map(|key| text(&key["created_at"])).collect();
    assert!(created.is_sorted(), "{created:?}");
    for key in keys {
        let is_staged = key["state"] == "staged";
        assert_eq!(key["promotable_at"].is_string(), is_staged, "{key}");
        assert_eq!(key["withdrawable_at"], Value::Null, "{key}");
    }
}

#[test]
fn rows_that_do_not_prove_to_be_genuine_are_shown_and_are_a_failure() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let staged = kid_of(&authority, "staged");
    let refused_list = |cause: &str| {
        let (code, said, complaint) = authority.run(&["keys", "list", "--json"]).any();
        assert_eq!(code, Some(78), "{complaint}");
        assert!(complaint.starts_with("attesto: ") && complaint.contains(cause), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        let keys: Value = serde_json::from_str(&said).unwrap();
        let (code, table, again) = authority.run(&["keys", "list"]).any();
        assert_eq!((code, again), (Some(78), complaint));
        (keys, table)
    };

    authority.sqlite(&format!("UPDATE keys SET state = 'retiring' WHERE kid = '{staged}'"));
    let (keys, _) = refused_list("was changed by somebody without the key-encryption key");
    let shown = keys.as_array().unwrap().iter().find(|key| key["kid"] == *staged).unwrap();
    assert_eq!(shown["state"], "retiring", "as it stands");

    authority.sqlite("UPDATE keys SET kid = 'forged' || char(27) || '[2Jkid' WHERE state = 'retiring'");
    let (keys, table) = refused_list("forged\\u{1b}[2Jkid");
    assert!(kids(&keys).contains("forged\u{1b}[2Jkid"));
    assert!(!table.contains('\u{1b}') && table.contains("forged\\u{1b}[2Jkid"), "{table}");

    std::fs::remove_file(authority.data().join("kek")).unwrap();
    let (keys, _) = refused_list("kek: no key-encryption key here");
    assert_eq!(kids(&keys).len(), 4);
}

#[test]
fn a_list_is_of_the_keys_that_are_asked_for() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let all = list_all(&authority);
    for (options, expected) in [
        (&["--purpose", "feed"][..], [("feed", "active"), ("feed", "staged")].as_slice()),
        (&["--state", "staged"], &[("token", "staged"), ("feed", "staged")]),
        (&["--purpose", "token", "--state", "active"], &[("token", "active")]),
        (&["--state", "retired"], &[]),
    ] {
        let listed = authority.json(&[&["keys", "list"], options].concat());
        let is_expected = |key: &&Value| {
            expected.iter().any(|(purpose, state)| key["purpose"] == *purpose && key["state"] == *state)
        };
        let chosen: Vec<_> = all.iter().filter(is_expected).cloned().collect();
        assert_eq!((listed.as_array().unwrap(), chosen.len()), (&chosen, expected.len()), "{options:?}");
    }
    for wrong in [["--purpose", "both"], ["--state", "away"]] {
        assert_eq!(authority.run(&[["keys", "list"], wrong].concat()).any().0, Some(2), "{wrong:?}");
    }
}
