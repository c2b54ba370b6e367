//! `attesto feed show`: where the feed stands, as the database has it.

use attesto_server::Clock;
use chrono::DateTime;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::authority::{Authority, CONFIGURATION};
use crate::keys;
use crate::process::until;
use crate::server::Server;
use crate::token::claims;

#[test]
fn it_needs_no_server_and_counts_what_lives() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let empty = show(&authority);
    assert_eq!((&empty["seq"], &empty["expired"], &empty["servers"]), (&json!(0), &json!(0), &json!([])));
    let kinds: Vec<_> = empty["records"].as_array().unwrap().iter().map(|of| of["kind"].clone()).collect();
    assert_eq!(kinds, ["all", "kid", "client", "subject", "session", "jti"]);
    for of in empty["records"].as_array().unwrap() {
        let kind = &of["kind"];
        let none = json!({"kind": kind, "living": 0, "oldest": null, "newest": null, "next_expiry": null});
        assert_eq!(*of, none);
    }

    for _ in 0..3 {
        authority.run(&["sessions", "revoke", "--user", "ada"]).done();
    }
    authority.run(&["clients", "disable", "simplejwt"]).done();
    authority
        .sqlite("UPDATE revocations SET expires_at = expires_at - 500000, not_before = 5000 WHERE seq = 1");
    let shown = show(&authority);
    assert_eq!((&shown["seq"], &shown["expired"]), (&json!(4), &json!(0)));
    let subject = of(&shown, "subject");
    assert_eq!((&subject["living"], &subject["oldest"]), (&json!(3), &json!("1970-01-01T00:00:05.000Z")));
    assert!(instant(&subject["newest"]) > 5000, "{subject}");
    let client = of(&shown, "client");
    assert_eq!((&client["living"], &client["oldest"]), (&json!(1), &client["newest"]));
    assert!(instant(&subject["next_expiry"]) < instant(&client["next_expiry"]), "the first of them");

    authority.sqlite("UPDATE revocations SET expires_at = 6000 WHERE kind = 3");
    let after = show(&authority);
    assert_eq!((&after["seq"], &after["expired"]), (&json!(4), &json!(3)));
    assert_eq!((&of(&after, "subject")["living"], &of(&after, "client")["living"]), (&json!(0), &json!(1)));
    let bytes = |shown: &Value| shown["snapshot_bytes"].as_u64().unwrap();
    assert_eq!(bytes(&shown) - bytes(&after), 3 * 24 * 16 / 9, "base64url of base64url");

    let table = authority.run(&["feed", "show"]).done();
    for text in ["seq       4\n", "expired   3,", "│ client ", " ago ", " (in ", "No server runs"] {
        assert!(table.contains(text), "{text}: {table}");
    }
}

#[test]
fn it_says_how_long_a_snapshot_is_and_names_nobody() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let server = keys::start(&authority);
    let sids = [server.sign_in(), server.sign_in()].map(|pair| text(&claims(&pair.access)["sid"]));
    for sid in &sids {
        authority.run(&["sessions", "revoke", sid]).done();
    }
    authority.run(&["sessions", "revoke", "--user", "ada"]).done();
    let snapshot = until("the server publishes", || {
        let answer = server.get("/revocations").body;
        (claims(&answer)["seq"] == 3).then_some(answer)
    });
    let shown = show(&authority);
    assert_eq!(shown["snapshot_bytes"], snapshot.len());
    assert_eq!(instant(&shown["epoch"]), claims(&snapshot)["epoch"].as_i64().unwrap());

    let user_id = text(&authority.json(&["users", "list"])[0]["id"]);
    for said in [authority.run(&["feed", "show"]).done(), shown.to_string()] {
        for id in sids.iter().chain([&user_id]) {
            assert!(!said.contains(id.as_str()), "{said}");
        }
    }
}

#[test]
fn a_server_that_lags_is_seen_and_explained() {
    const HINTS: [&str; 2] = ["was killed or is stuck", "cannot read the database"];
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let server = keys::start(&authority);
    // Right after a report: nothing is written for two seconds, and no lock is held.
    let reported = seen_at(&show(&authority));
    until("the server reports again", || (seen_at(&show(&authority)) != reported).then_some(()));
    signal(&server, Signal::STOP);
    authority.run(&["sessions", "revoke", "--user", "ada"]).done();
    authority.run(&["sessions", "revoke", "--user", "ada"]).done();
    let lagging = show(&authority)["servers"][0].clone();
    assert_eq!((&lagging["seq"], &lagging["behind"]), (&json!(0), &json!(2)));
    let hints = || {
        let said = authority.run(&["feed", "show"]).done();
        HINTS.map(|hint| said.contains(hint))
    };
    let heard_of = |seconds: i64| {
        let at = Clock::system().now().as_millis() + seconds * 1000;
        authority.sqlite(&format!("UPDATE servers SET seen_at = {at}"));
    };
    // That far ahead, it stays a recent one for as long as this takes.
    heard_of(20);
    assert_eq!(hints(), [false, true]);
    heard_of(-7);
    assert_eq!(hints(), [true, false]);

    signal(&server, Signal::CONT);
    let servers = until("the server has them", || {
        Some(show(&authority)["servers"].clone()).filter(|servers| servers[0]["behind"] == 0)
    });
    assert_eq!((&servers[0]["seq"], servers.as_array().unwrap().len()), (&json!(2), 1));
    until("nothing is to be explained", || (hints() == [false, false]).then_some(()));

    server.kill();
    assert_eq!(show(&authority)["servers"].as_array().unwrap().len(), 1, "nobody can know yet");
    heard_of(-7);
    assert_eq!(hints(), [true, false], "though it has everything");
    heard_of(-30);
    assert_eq!(show(&authority)["servers"], json!([]));
}

#[track_caller]
fn show(authority: &Authority) -> Value {
    authority.json(&["feed", "show"])
}

/// The records of a kind.
#[track_caller]
fn of(shown: &Value, kind: &str) -> Value {
    shown["records"].as_array().unwrap().iter().find(|of| of["kind"] == kind).unwrap().clone()
}

fn seen_at(shown: &Value) -> Value {
    shown["servers"][0]["seen_at"].clone()
}

fn signal(server: &Server, signal: Signal) {
    kill_process(Pid::from_child(&server.process.0), signal).unwrap();
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Milliseconds since 1970.
#[track_caller]
fn instant(value: &Value) -> i64 {
    DateTime::parse_from_rfc3339(&text(value)).expect("RFC 3339").timestamp_millis()
}
