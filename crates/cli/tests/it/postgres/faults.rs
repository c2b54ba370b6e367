use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use attesto_cluster::{Cluster, PgBouncer, Programs};

use super::{authority_on, with_database};
use crate::crash::{kill_after_it_answered, kill_while_it_refreshes};
use crate::http::Pair;
use crate::load::{Load, Refreshed};
use crate::process::{run, until};
use crate::server::Server;

/// What is committed is on the disk.
const DURABLE: &[(&str, &str)] = &[("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];

const CLIENTS: usize = 4;

fn programs() -> Programs {
    Programs::find().unwrap()
}

#[test]
fn while_the_database_is_away_nothing_is_lost_and_soon_after_all_goes_on() {
    let mut cluster = Cluster::start(&programs(), DURABLE).unwrap();
    cluster.create_database("attesto").unwrap();
    let authority = authority_on(&cluster.url("attesto"));
    authority.set_up();
    let server = authority.start();
    let load = Load::sign_in(&server, CLIENTS, Duration::ZERO);
    let ended = server.sign_in();
    assert_eq!(server.blacklist(&ended.refresh).status, 200);
    for crash in [Cluster::crash, Cluster::kill9] {
        let answered = Mutex::new(Vec::new());
        let back_at = load.during(server.address, only_200_and_503(&answered), || {
            sleep(Duration::from_millis(300));
            crash(&mut cluster).unwrap();
            sleep(Duration::from_millis(1200));
            for path in ["/livez", "/.well-known/jwks.json", "/.well-known/openid-configuration"] {
                let asked_at = Instant::now();
                assert_ne!(server.get(path).status, 503, "{path}");
                assert!(asked_at.elapsed() < Duration::from_secs(1), "{path}: {:?}", asked_at.elapsed());
            }
            assert_eq!(server.get("/readyz").status, 503);
            cluster.start_again().unwrap();
            let back_at = Instant::now();
            sleep(Duration::from_secs(5));
            back_at
        });
        let answered = answered.into_inner().unwrap();
        assert!(answered.iter().any(|(_, status)| *status == 503), "nobody noticed");
        let late = answered
            .iter()
            .filter(|(at, status)| *status == 503 && at.duration_since(back_at).as_secs() >= 5);
        assert_eq!(late.count(), 0, "five seconds later all is well");
        let after = answered.iter().filter(|(at, status)| *status == 200 && *at > back_at);
        assert!(after.count() > CLIENTS);
        load.assert_alive(&server);
        assert_eq!(server.get("/readyz").status, 200);
    }
    assert_eq!(server.refresh(&ended.refresh).refused(401), "Token is blacklisted");
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_it_answered() {
    let cluster = Cluster::start(&programs(), &[]).unwrap();
    cluster.create_database("attesto").unwrap();
    let authority = authority_on(&cluster.url("attesto"));
    authority.set_up();
    kill_while_it_refreshes(&authority, 30);
    kill_after_it_answered(&authority, 10);
}

#[test]
fn a_standby_that_takes_over_has_all_that_was_answered() {
    let mut primary = Cluster::start(&programs(), DURABLE).unwrap();
    primary.create_database("attesto").unwrap();
    let mut standby = primary.standby("second").unwrap();
    primary.synchronize_with("second").unwrap();
    let authority = authority_on(&primary.url("attesto"));
    authority.set_up();
    let server = authority.start();
    let load = Load::sign_in(&server, CLIENTS, Duration::ZERO);
    let mut ended: Vec<Pair> = Vec::new();
    let answered = Mutex::new(Vec::new());
    load.during(server.address, only_200_and_503(&answered), || {
        for _ in 0..10 {
            let pair = server.sign_in();
            assert_eq!(server.blacklist(&pair.refresh).status, 200);
            ended.push(pair);
        }
        primary.kill9().unwrap();
    });
    server.stop();
    standby.promote().unwrap();
    let prepare = |command| with_database(command, &standby.url("attesto"));
    let server = authority.try_start_as(prepare).expect("the server starts");
    // What was answered last is the newest that the standby knows, or one that it gives again.
    load.assert_alive(&server);
    for pair in ended {
        assert_eq!(server.refresh(&pair.refresh).refused(401), "Token is blacklisted");
    }
}

#[test]
fn a_pooler_that_gives_each_transaction_another_connection_is_no_hindrance() {
    let cluster = Cluster::start(&programs(), &[]).unwrap();
    cluster.create_database("attesto").unwrap();
    let program: PathBuf = PgBouncer::find().unwrap();
    let pooler = PgBouncer::start(&program, &cluster, &[("default_pool_size", "3")]).unwrap();
    let authority = authority_on(&pooler.url("attesto"));
    authority.set_up();
    let (one, other) = (authority.start(), authority.start());
    for server in [&one, &other] {
        let load = Load::sign_in(server, 8, Duration::ZERO);
        let answered = Mutex::new(Vec::new());
        load.during(server.address, only_200_and_503(&answered), || sleep(Duration::from_secs(2)));
        let answered = answered.into_inner().unwrap();
        assert!(answered.len() > 8 && answered.iter().all(|(_, status)| *status == 200));
        load.assert_alive(server);
    }
    ended_everywhere(&one, &other);
    let directly = with_database(authority.command(&["doctor", "--offline"]), &cluster.url("attesto"));
    for (mut doctor, is_behind) in [(authority.command(&["doctor", "--offline"]), true), (directly, false)] {
        let said = run(&mut doctor, "").any().1;
        assert_eq!(said.contains("as if behind a pooler) answers"), is_behind, "{said}");
    }
}

fn ended_everywhere(one: &Server, other: &Server) {
    let pair = one.sign_in();
    assert_eq!(one.blacklist(&pair.refresh).status, 200);
    assert_eq!(other.refresh(&pair.refresh).refused(401), "Token is blacklisted");
    until("the other knows of it", || (other.verify(&pair.access).status == 400).then_some(()));
}

/// Notes when each answer came and what it was. No other status is any good.
fn only_200_and_503(answered: &Mutex<Vec<(Instant, u16)>>) -> impl Fn(&Refreshed) + Sync + '_ {
    |refreshed| {
        let answer = refreshed.answer.as_ref().expect("the connection lasts");
        assert!([200, 503].contains(&answer.status), "{}: {}", answer.status, answer.body);
        answered.lock().unwrap().push((Instant::now(), answer.status));
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
            sleep(Duration::from_millis(20));
        }
    }
}
