use serde_json::{Value, json};

use super::{audited, instant, key, kid_in, kid_of, kids, members, quick, start, state_of, text};
use crate::authority::{Authority, CONFIGURATION};

#[test]
fn a_leaked_key_is_gone_at_once_and_nobody_is_signed_out() {
    let authority = Authority::dev().with("SUDO_USER", "grace");
    let server = start(&authority);
    let (leaked, next) = (kid_of(&authority, "active"), kid_of(&authority, "staged"));
    let before = server.sign_in();
    assert_eq!(kid_in(&before.access), leaked);

    let done = authority.json(&["keys", "compromise", &leaked[..10], "--reason", "on a paste site"]);
    let expected = ["accepted_until", "done", "keys", "kid", "latest_exp", "servers", "unknown_until"];
    assert_eq!(members(&done), expected);
    assert_eq!((&done["kid"], &done["done"]), (&json!(leaked), &json!(true)));
    assert_eq!(done["servers"][0]["has_it"], true);
    assert!(done["unknown_until"].is_string(), "nobody knows the next key for long enough: {done}");
    let compromised_at = instant(&key(&authority, &leaked)["compromised_at"]);
    // Ten minutes of caches, ten of verifiers, one of clocks, ten seconds of confirmation.
    let accepted_for = instant(&done["accepted_until"]) - compromised_at;
    assert!((1_270_000..1_275_000).contains(&accepted_for), "{accepted_for}");
    assert!(done["latest_exp"].is_string(), "{done}");

    let published = kids(&server.get("/.well-known/jwks.json").json()["keys"]);
    let staged = kid_of(&authority, "staged");
    assert_eq!(published, [next.clone(), staged.clone()].into());
    assert_eq!(server.verify(&before.access).status, 401, "the authority refuses what it signed");
    let renewed = server.refresh(&before.refresh).pair();
    assert_eq!((kid_in(&renewed.access), kid_in(&renewed.refresh)), (next.clone(), next.clone()));

    let row = |event: &str, kid: &str| (event.to_owned(), "operator:grace".to_owned(), Some(kid.to_owned()));
    let happened =
        [row("key_compromised", &leaked), row("key_promoted", &next), row("key_generated", &staged)];
    assert_eq!(audited(&authority, "on a paste site"), happened);

    authority.run(&["keys", "destroy", &leaked, "--reason", "investigated"]).done();
    assert_eq!(state_of(&authority, &leaked), "compromised", "it stays refused");
    assert_eq!(audited(&authority, "investigated"), [row("key_destroyed", &leaked)]);
    let line = authority.run(&["keys", "destroy", &leaked]).refused(1);
    assert!(line.ends_with("its private half is erased already"), "{line}");
}

#[test]
fn what_a_leak_still_means_is_said() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let (active, staged) = (kid_of(&authority, "active"), kid_of(&authority, "staged"));
    let said = authority.run(&["keys", "compromise", &staged]).done();
    let begins = format!("Key {staged} is declared leaked, key ");
    assert!(said.starts_with(&begins) && said.contains(" is staged. No session ended."), "{said}");
    assert!(
        said.contains("those that only hold the old JWK Set accept them until they ask again, by "),
        "{said}"
    );
    assert!(said.contains("all access tokens that the authority signed with it have expired."), "{said}");
    assert_eq!(state_of(&authority, &active), "active", "what did not leak signs on");

    // What is out of the set already worries no verifier.
    let retired = kid_of(&authority, "staged");
    authority.run(&["keys", "retire", &retired]).done();
    let done = authority.json(&["keys", "compromise", &retired]);
    assert_eq!(done["accepted_until"], Value::Null);
    let rows: Vec<_> = done["keys"].as_array().unwrap().iter().map(|key| text(&key["state"])).collect();
    assert_eq!(rows, ["compromised"]);
}
