use std::thread::scope;

use attesto_server::Clock;
use serde_json::{Value, json};

use super::{
    audited, instant, kid_in, kid_of, kids, list, list_all, members, once_allowed, quick, start, state_of,
    text,
};
use crate::authority::{Authority, CONFIGURATION};
use crate::process::until;

#[test]
fn a_rotation_waits_for_its_guard_and_says_so() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let staged = list(&authority).into_iter().find(|key| key["state"] == "staged").unwrap();
    let (kid, promotable_at) = (text(&staged["kid"]), text(&staged["promotable_at"]));
    // Ten minutes of caches, ten of verifiers, one of clocks, ten seconds of confirmation.
    let guard = instant(&staged["promotable_at"]) - instant(&staged["published_at"]);
    assert_eq!(guard, (21 * 60 + 10) * 1000);
    authority.settle();
    let before = authority.files();

    let line = authority.run(&["keys", "rotate"]).refused(75);
    let expected = format!("key {kid} cannot be promoted before {promotable_at} (in 2");
    assert!(line.starts_with(&expected), "{line}");
    assert!(
        line.contains("it waits for every cache and verifier to ask for the key set that has it"),
        "{line}"
    );
    assert!(line.ends_with("; nothing was changed"), "{line}");

    let (code, said, complaint) = authority.run(&["keys", "rotate", "--json"]).any();
    assert_eq!((code, complaint.lines().count()), (Some(75), 1), "{complaint}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(members(&said), ["done", "kid", "until", "waits_for"]);
    assert_eq!(
        (&said["done"], &said["kid"], &said["until"]),
        (&json!(false), &json!(kid), &json!(promotable_at))
    );
    authority.assert_unchanged_since(&before);
}

#[test]
fn a_rotation_beside_a_server() {
    let authority = quick(Authority::dev()).with("SUDO_USER", "grace");
    let server = start(&authority);
    let (old, new) = (kid_of(&authority, "active"), kid_of(&authority, "staged"));
    let before = server.sign_in();
    assert_eq!((kid_in(&before.access), kid_in(&before.refresh)), (old.clone(), old.clone()));

    let done = once_allowed(&authority, &["keys", "rotate", "--reason", "drill"]);
    assert_eq!(members(&done), ["done", "keys", "kid", "servers", "unknown_until"]);
    assert_eq!(
        (&done["done"], &done["kid"], &done["unknown_until"]),
        (&json!(true), &json!(new), &Value::Null)
    );
    let next = kid_of(&authority, "staged");
    let moved: Vec<_> =
        done["keys"].as_array().unwrap().iter().map(|key| (&key["kid"], &key["state"])).collect();
    let expected =
        [(json!(old), json!("retiring")), (json!(new), json!("active")), (json!(next), json!("staged"))];
    assert_eq!(moved, expected.each_ref().map(|(kid, state)| (kid, state)));
    let servers = done["servers"].as_array().unwrap();
    assert_eq!((servers.len(), &servers[0]["has_it"]), (1, &json!(true)));

    // The command waited for the server.
    assert_eq!(kid_in(&server.sign_in().access), new);
    assert_eq!(kid_in(&server.refresh(&before.refresh).pair().access), new, "no session ended");
    assert!(kids(&server.get("/.well-known/jwks.json").json()["keys"]).contains(&next));

    let grace =
        |event: &str, kid: &str| (event.to_owned(), "operator:grace".to_owned(), Some(kid.to_owned()));
    let happened = [grace("key_demoted", &old), grace("key_promoted", &new), grace("key_generated", &next)];
    assert_eq!(audited(&authority, "drill"), happened);
}

#[test]
fn what_is_said_to_people() {
    let authority = quick(Authority::dev());
    authority.start().stop();
    let said = authority.run(&["keys", "stage"]).done();
    let staged = list(&authority).pop().unwrap();
    let expected = format!(
        "Key {} is staged. It may sign from {}",
        text(&staged["kid"]),
        text(&staged["promotable_at"])
    );
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.ends_with("\nNo server runs; the next one to start has it.\n"), "{said}");

    let server = start(&authority);
    let said = authority.run(&["keys", "stage"]).done();
    assert!(said.ends_with("\n1 running server has it.\n"), "{said}");
    server.kill();
    let said = authority.run(&["keys", "stage"]).done();
    assert!(said.contains("\nNot loaded yet by 1 of 1 servers: ") && said.contains("heard of "), "{said}");
}

/// Of many who rotate at once one does, and the others find that it is done.
#[test]
fn a_rotation_happens_once() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    once_allowed(&authority, &["keys", "rotate"]);
    let staged = list(&authority).pop().unwrap();
    let (kid, promotable_at) = (text(&staged["kid"]), instant(&staged["promotable_at"]));
    until("the guard allows it", || (Clock::system().now().as_millis() > promotable_at).then_some(()));
    let outcomes: Vec<_> = scope(|scope| {
        let rotate = || authority.run(&["keys", "rotate", "--kid", &kid]).any();
        let all: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let done = outcomes.iter().filter(|(code, ..)| *code == Some(0)).count();
    let late =
        outcomes.iter().filter(|(code, _, line)| *code == Some(1) && line.contains("it signs already"));
    assert_eq!((done, late.count()), (1, 7), "{outcomes:?}");
    let active: Vec<_> = list(&authority).into_iter().filter(|key| key["state"] == "active").collect();
    assert_eq!((active.len(), &active[0]["kid"]), (1, &json!(kid)));
}

#[test]
fn a_promotion_ahead_of_its_guard_is_asked_for_by_name() {
    let authority = Authority::dev();
    let server = start(&authority);
    let staged = kid_of(&authority, "staged");
    let line = authority.run(&["keys", "promote"]).refused(1);
    assert!(line.contains("`attesto keys rotate` waits") && line.ends_with("nothing was changed"), "{line}");
    assert_eq!(state_of(&authority, &staged), "staged");

    let done =
        authority.json(&["keys", "promote", "--emergency", "--kid", &staged[..6], "--reason", "paged"]);
    assert_eq!(done["kid"], staged);
    assert!(done["unknown_until"].is_string(), "{done}");
    assert_eq!(kid_in(&server.sign_in().access), staged);
    let said = authority.run(&["keys", "promote", "--emergency"]).done();
    assert!(said.contains("may refuse its tokens until "), "{said}");
    let events: Vec<_> = audited(&authority, "paged").into_iter().map(|(event, ..)| event).collect();
    assert_eq!(events, ["key_demoted", "key_promoted", "key_generated"]);
}

#[test]
fn a_key_leaves_step_by_step() {
    let authority =
        quick(Authority::configured(CONFIGURATION)).with("ATTESTO_KEY_CONFIRMATION_INTERVAL", "3s");
    authority.set_up();
    let old = kid_of(&authority, "active");
    authority.run(&["keys", "promote", "--emergency"]).done();

    let line = authority.run(&["keys", "retire", &old]).refused(75);
    let expected =
        "it waits for the last token that it signed to expire, and for verifiers to ask for a new key set";
    assert!(
        line.starts_with(&format!("key {old} cannot be retired before ")) && line.contains(expected),
        "{line}"
    );
    let done = once_allowed(&authority, &["keys", "retire", &old, "--reason", "early"]);
    assert_eq!((&done["kid"], state_of(&authority, &old).as_str()), (&json!(old), "retired"));

    let line = authority.run(&["keys", "destroy", &old]).refused(75);
    assert!(line.contains("it waits for every server to let go of it"), "{line}");
    once_allowed(&authority, &["keys", "destroy", &old, "--reason", "gone"]);
    assert_eq!(state_of(&authority, &old), "destroyed");
    let event = |reason: &str| audited(&authority, reason).remove(0).0;
    assert_eq!([event("early"), event("gone")], ["key_retired", "key_destroyed"]);
}

#[test]
fn a_staged_key_leaves_at_once_and_another_is_staged() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let staged = kid_of(&authority, "staged");
    let done = authority.json(&["keys", "retire", &staged]);
    assert_eq!((&done["kid"], state_of(&authority, &staged).as_str()), (&json!(staged), "retired"));
    assert_ne!(kid_of(&authority, "staged"), staged);
}

#[test]
fn a_key_in_the_wrong_place_is_named_with_what_would_be_right() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let leaked = kid_of(&authority, "staged");
    authority.run(&["keys", "compromise", &leaked]).done();
    let (destroyed, retired) = (kid_of(&authority, "staged"), {
        authority.run(&["keys", "stage"]).done();
        text(&list(&authority).pop().unwrap()["kid"])
    });
    for kid in [&destroyed, &retired] {
        authority.run(&["keys", "retire", kid]).done();
    }
    once_allowed(&authority, &["keys", "destroy", &destroyed]);
    let retiring = kid_of(&authority, "active");
    authority.run(&["keys", "promote", "--emergency"]).done();
    let (active, staged) = (kid_of(&authority, "active"), kid_of(&authority, "staged"));

    let back = "keys never move back: name a staged one, or none at all";
    let left = "it left the JWK Set already";
    for (command, kid, expected) in [
        (&["rotate", "--kid"][..], &active, "cannot be promoted: it is active; it signs already"),
        (&["rotate", "--kid"], &retiring, back),
        (&["rotate", "--kid"], &retired, back),
        (&["rotate", "--kid"], &destroyed, back),
        (&["rotate", "--kid"], &leaked, back),
        (&["promote", "--emergency", "--kid"], &retired, back),
        (&["retire"], &active, "let another one sign first with `attesto keys rotate`"),
        (&["retire"], &retired, left),
        (&["retire"], &destroyed, left),
        (&["retire"], &leaked, left),
        (&["destroy"], &staged, "take it out of the JWK Set first with `attesto keys retire`"),
        (&["destroy"], &retiring, "take it out of the JWK Set first with `attesto keys retire`"),
        (&["destroy"], &active, "let another one sign first with `attesto keys rotate`"),
        (&["destroy"], &destroyed, "its private half is erased already"),
        (&["compromise"], &leaked, "nothing trusts it already"),
    ] {
        let before = list(&authority);
        let line = authority.run(&[&["keys"], command, &[kid.as_str()]].concat()).refused(1);
        assert!(
            line.starts_with(&format!("key {kid} cannot be ")) && line.contains(expected),
            "{command:?}: {line}"
        );
        assert_eq!(list(&authority), before, "{command:?}");
    }
}

#[test]
fn lines_are_chosen_by_what_there_is() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let line = authority.run(&["keys", "rotate", "--purpose", "feed", "--algorithm", "RS256"]).refused(1);
    assert_eq!(
        line,
        "no feed RS256 key is staged, so none can take over; `attesto keys stage --algorithm RS256 --purpose feed` makes one"
    );
    let line = authority.run(&["keys", "rotate", "--algorithm", "ES256"]).refused(1);
    assert!(line.ends_with("`attesto keys stage --algorithm ES256` makes one"), "{line}");

    let lines = || -> Vec<_> {
        let newest = list_all(&authority).into_iter().max_by_key(|key| text(&key["created_at"])).unwrap();
        vec![text(&newest["purpose"]), text(&newest["algorithm"])]
    };
    authority.run(&["keys", "stage"]).done();
    assert_eq!(lines(), ["token", "RS256"], "the only ones there are");
    authority.run(&["keys", "stage", "--purpose", "feed"]).done();
    assert_eq!(lines(), ["feed", "ES256"], "the only ones there are");
    authority.run(&["keys", "promote", "--emergency", "--purpose", "feed"]).done();
    authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    authority.run(&["keys", "stage"]).done();
    assert_eq!(lines(), ["token", "RS256"], "as configured");
    let authority = authority.with("ATTESTO_ACCESS_TOKEN_ALGORITHM", "ES256");
    let done = authority.json(&["keys", "promote", "--emergency"]);
    let promoted = list(&authority).into_iter().find(|key| key["kid"] == done["kid"]).unwrap();
    assert_eq!(promoted["algorithm"], "ES256", "as configured");

    for wrong in [
        &["stage", "--algorithm", "HS256"][..],
        &["stage", "--algorithm", "rs256"],
        &["stage", "--purpose", "both"],
        &["rotate", "--kid", "abcdef", "--algorithm", "RS256"],
        &["rotate", "--kid", "abcdef", "--purpose", "token"],
    ] {
        assert_eq!(authority.run(&[&["keys"], wrong].concat()).any().0, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_kid_may_be_cut_short() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let kid = kid_of(&authority, "staged");
    for command in
        [&["rotate", "--kid"][..], &["promote", "--emergency", "--kid"], &["compromise"], &["retire"]]
    {
        let with = |kid: &str| authority.run(&[&["keys"], command, &[kid]].concat());
        let line = with(&kid[..5]).refused(1);
        assert_eq!(
            line,
            format!("{:?} is too short to name a key; give at least 6 characters of its kid", &kid[..5])
        );
        let unknown = "nothing-of-the-kind";
        let line = with(unknown).refused(1);
        assert_eq!(line, format!("there is no key {unknown:?}; `attesto keys list` shows all"));
    }
    let done = authority.json(&["keys", "retire", &kid[..6]]);
    assert_eq!(done["kid"], kid);
}

#[test]
fn a_reason_is_one_short_line() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let stage = |reason: &str| authority.run(&["keys", "stage", "--algorithm", "ES256", "--reason", reason]);
    let before = list(&authority);
    for (reason, expected) in [
        ("", "is empty"),
        (" ", "is empty"),
        ("two\nlines", "has a control character in it"),
        ("\u{1b}[2J", "has a control character in it"),
        (&"x".repeat(201), "has more than 200 characters"),
    ] {
        let (code, _, complaint) = stage(reason).any();
        assert!(code == Some(2) && complaint.contains(expected), "{reason:?}: {complaint}");
    }
    assert_eq!(list(&authority), before);
    let longest = "ü".repeat(200);
    stage(&longest).done();
    assert_eq!(audited(&authority, &longest).len(), 1);
    authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    assert_eq!(audited(&authority, "operator").len(), 1, "without a word");
}
