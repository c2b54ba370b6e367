use std::thread::scope;
use std::time::{Duration, Instant};

use attesto_cluster::Scratch;
use serde_json::Value;

use super::{authority_on, configured_on};
use crate::authority::Authority;
use crate::http::get;
use crate::process::{run, until};
use crate::rotate_many::{configuration, one_of_many_rotates};
use crate::server::{Credentials, Server};

const MANY: usize = 16;

/// Two servers of one authority.
struct Two {
    one: Server,
    other: Server,
    authority: Authority,
    _database: Scratch,
}

fn two_servers() -> Two {
    let database = Scratch::new().unwrap();
    let authority = authority_on(&database.url());
    authority.set_up();
    Two { one: authority.start(), other: authority.start(), authority, _database: database }
}

#[test]
fn of_many_that_set_up_one_database_one_does_and_then_all_serve_it() {
    let database = Scratch::new().unwrap();
    let authority = &authority_on(&database.url());
    // Who is first may make the file; the others have it, as machines would that share a secret.
    let made = scope(|scope| {
        let init = || {
            let outcome =
                run(&mut authority.command(&["init", "--json"]), &Credentials::first_user().lines());
            let answer: Value = serde_json::from_str(&outcome.done()).unwrap();
            answer["created"].as_bool().unwrap()
        };
        let all: Vec<_> = (0..MANY).map(|_| scope.spawn(init)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|created| *created).count()
    });
    assert_eq!(made, 1, "the others say that it exists");
    let keys = authority.json(&["keys", "list"]);
    let active = keys.as_array().unwrap().iter().filter(|key| key["state"] == "active");
    assert_eq!(active.count(), 2, "one for tokens and one for the feed");

    let servers = scope(|scope| {
        let all: Vec<_> = (0..MANY).map(|_| scope.spawn(|| authority.start())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let mut pair = servers[0].sign_in();
    for server in &servers {
        assert_eq!(server.get("/readyz").status, 200);
        pair = server.refresh(&pair.refresh).pair();
        assert_eq!(server.verify(&pair.access).status, 200);
    }
    assert_eq!(authority.json(&["keys", "list"]).as_array().unwrap().len(), keys.as_array().unwrap().len());
}

#[test]
fn of_sixteen_processes_one_rotates_and_every_token_verifies() {
    let database = Scratch::new().unwrap();
    one_of_many_rotates(&configured_on(&database.url(), &configuration()));
}

#[test]
fn what_one_ends_another_publishes_within_two_seconds() {
    let two = two_servers();
    let (one, other) = (&two.one, &two.other);
    for seq in 0..5 {
        what_one_ends_the_other_publishes(one, other, seq);
    }
}

/// `seq` is where the feed is.
#[track_caller]
pub(super) fn what_one_ends_the_other_publishes(one: &Server, other: &Server, seq: u64) {
    let pair = one.sign_in();
    let mut waiting = other.connect();
    waiting.send(&get(&format!("/revocations?after={seq}&wait=25"))).unwrap();
    let begun = Instant::now();
    assert_eq!(one.blacklist(&pair.refresh).status, 200);
    assert_eq!(waiting.answer().unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(other.refresh(&pair.refresh).refused(401), "Token is blacklisted");
    assert_eq!(other.verify(&pair.access).status, 400);
}

#[test]
fn a_refresh_that_was_answered_by_one_is_repeated_by_another() {
    let two = two_servers();
    let (one, other) = (&two.one, &two.other);
    let first = one.sign_in();
    let second = one.refresh(&first.refresh).pair();
    assert_eq!(
        other.refresh(&first.refresh).pair().refresh,
        second.refresh,
        "the same successor, byte for byte"
    );
    let third = other.refresh(&second.refresh).pair();
    assert_eq!(one.refresh(&first.refresh).refused(401), "Token is blacklisted");
    assert_eq!(
        other.refresh(&third.refresh).refused(401),
        "Token is blacklisted",
        "the whole session is dead"
    );
}

#[test]
fn a_key_that_one_rotates_signs_at_the_other() {
    let two = two_servers();
    let (one, other) = (&two.one, &two.other);
    let before = crate::load::kid(&other.sign_in().access);
    two.authority.run(&["keys", "compromise", &before]).done();
    until("both have another key", || {
        let kids = [one, other].map(|server| crate::load::kid(&server.sign_in().access));
        (kids[0] == kids[1] && kids[0] != before).then_some(())
    });
}

#[test]
fn an_older_schema_is_the_operators_to_bring_up_to_date() {
    let database = Scratch::new().unwrap();
    let authority = authority_on(&database.url());
    authority.set_up();
    database.sql(include_str!("../../../../../migrations/postgres/0003_feed/down.sql")).unwrap();
    database.sql("DELETE FROM __diesel_schema_migrations WHERE version = '0003'").unwrap();
    let said = authority.try_start().err().unwrap().refused(1);
    assert!(said.contains("older than this program; `attesto migrate` brings it up to date"), "{said}");
    assert_eq!(authority.json(&["migrate"])["migrations"], serde_json::json!(["0003"]));
    assert_eq!(authority.json(&["migrate"])["migrations"], serde_json::json!([]));
    authority.start().sign_in();
}
