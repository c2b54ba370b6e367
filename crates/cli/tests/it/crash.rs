//! `kill -9` at any moment: nothing that was answered is lost, and no session is left that cannot go on.

use std::collections::BTreeMap;
use std::io;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use attesto_keyring::random_id;
use serde_json::Value;

use crate::authority::Authority;
use crate::http::{Answer, Pair};
use crate::server::{Server, refresh_request};
use crate::token::claims;

const KILLS: usize = 100;

/// Clients that are in the middle of a refresh at each kill.
const CLIENTS: usize = 4;

#[test]
fn a_refresh_that_a_crash_interrupts_is_simply_repeated() {
    kill_while_it_refreshes(&Authority::dev(), KILLS);
}

/// Kills the server again and again, in the middle of refreshes: what was answered is known afterwards, and everybody goes
/// on from there.
pub(crate) fn kill_while_it_refreshes(authority: &Authority, kills: usize) {
    let mut server = authority.start();
    let mut held: Vec<Pair> = (0..CLIENTS).map(|_| server.sign_in()).collect();
    let (mut answered, mut unanswered) = (0, 0);
    for _ in 0..kills {
        let begun_at = Instant::now();
        held = refresh_all(&mut server, &held, None).iter().map(|answer| arrived(answer).pair()).collect();
        // Before, in and after the same once more.
        let moment = begun_at.elapsed().mul_f64(2.0 * random_share());

        let first_answers = refresh_all(&mut server, &held, Some(moment));
        server = authority.start();
        for (held, first_answer) in held.iter_mut().zip(first_answers) {
            let repeated = server.refresh(&held.refresh).pair();
            if first_answer.is_ok() {
                let first = arrived(&first_answer).pair();
                assert_eq!(repeated.refresh, first.refresh, "the same successor, byte for byte");
                assert_eq!(server.verify(&first.access).status, 200, "what was answered is known");
                answered += 1;
            } else {
                unanswered += 1;
            }
            *held = repeated;
        }
        assert_eq!(generations(authority), generations_of(&held), "one live leaf each");
    }
    assert!(answered > 0 && unanswered > 0, "kills came too early or too late: {answered}, {unanswered}");
}

#[test]
fn between_two_refreshes_a_crash_changes_nothing() {
    let authority = Authority::dev();
    let server = authority.start();
    let first = server.sign_in();
    let second = server.refresh(&first.refresh).pair();
    server.kill();

    let server = authority.start();
    let repeated = server.refresh(&first.refresh).pair();
    assert_eq!(repeated.refresh, second.refresh, "the same successor, byte for byte");
    let third = server.refresh(&second.refresh).pair();
    assert_eq!(server.refresh(&first.refresh).refused(401), "Token is blacklisted");
    server.kill();

    let server = authority.start();
    assert_eq!(
        server.refresh(&third.refresh).refused(401),
        "Token is blacklisted",
        "the whole session is dead"
    );
    assert_eq!(generations(&authority), BTreeMap::new());
}

#[test]
fn what_was_begun_or_ended_stays_so() {
    kill_after_it_answered(&Authority::dev(), 40);
}

/// Kills the server twice for each session, right after an answer.
pub(crate) fn kill_after_it_answered(authority: &Authority, kills: usize) {
    let mut server = authority.start();
    for _ in 0..kills / 2 {
        let pair = server.sign_in();
        server.kill();
        server = authority.start();
        let pair = server.refresh(&pair.refresh).pair();
        assert_eq!(server.blacklist(&pair.refresh).status, 200);
        server.kill();
        server = authority.start();
        assert_eq!(server.refresh(&pair.refresh).refused(401), "Token is blacklisted");
        assert_eq!(server.verify(&pair.access).status, 400, "its access token is over as well");
    }
}

/// Every client presents its refresh token, all at the same time. If told so, the server is killed in the meantime.
fn refresh_all(server: &mut Server, held: &[Pair], kill_after: Option<Duration>) -> Vec<io::Result<Answer>> {
    let connections: Vec<_> = held.iter().map(|_| server.connect()).collect();
    scope(|scope| {
        let clients: Vec<_> = connections
            .into_iter()
            .zip(held)
            .map(|(mut connection, held)| {
                scope.spawn(move || connection.ask(&refresh_request(&held.refresh)))
            })
            .collect();
        if let Some(moment) = kill_after {
            sleep(moment);
            server.process.kill();
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn arrived(answer: &io::Result<Answer>) -> &Answer {
    answer.as_ref().expect("an answer")
}

/// The generation of every live session, as the operator sees it.
fn generations(authority: &Authority) -> BTreeMap<String, i64> {
    let sessions = authority.json(&["sessions", "list"]);
    let rows = sessions.as_array().unwrap();
    rows.iter().map(|row| named(&row["sid"], &row["generation"])).collect()
}

/// The same, as the newest refresh tokens say.
fn generations_of(held: &[Pair]) -> BTreeMap<String, i64> {
    let tokens = held.iter().map(|pair| claims(&pair.refresh));
    tokens.map(|claims| named(&claims["sid"], &claims["gen"])).collect()
}

fn named(sid: &Value, generation: &Value) -> (String, i64) {
    (sid.as_str().unwrap().to_owned(), generation.as_i64().unwrap())
}

/// Anything from 0 to 1.
pub(crate) fn random_share() -> f64 {
    let bits = u32::from_str_radix(&random_id()[..8], 16).expect("hex digits");
    f64::from(bits) / f64::from(u32::MAX)
}
