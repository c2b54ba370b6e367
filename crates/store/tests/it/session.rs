//! Generations, the tokens that stay, and the end of a session: one winner, whoever tries.

use std::time::Duration;

use attesto_core::{Ending, Event, Reason, Session, SessionId};
use attesto_store::{Moved, Store};

use crate::fixture::{self, Database, NOW, added, digest, event, rotation};
use crate::processes::{Role, at_once, run_together, say};

const TASKS: usize = 4;
const GENERATIONS: i64 = 40;
const SESSIONS: usize = 10;

#[tokio::test]
async fn of_many_rotations_one_wins_each_generation() {
    let database = Database::new().await;
    let begun = database.begin("s").await;

    let mut wins: Vec<(i64, String)> = run_together(Role::Rotate, &database.url)
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(generation, winner)| (generation.parse().unwrap(), winner.to_owned()))
        .collect();

    wins.sort();
    let generations: Vec<i64> = wins.iter().map(|(generation, _)| *generation).collect();
    assert_eq!(generations, (1..=GENERATIONS).collect::<Vec<_>>());
    let (_, last) = wins.last().unwrap();
    let expected = rotated(&begun, GENERATIONS, last);
    assert_eq!(database.session("s").await, expected);
}

/// Tries to be first at every generation.
pub(crate) async fn rotates(store: Store, number: usize) {
    at_once(TASKS, |task| {
        let store = store.clone();
        async move {
            for from in 1..=GENERATIONS {
                let successor = format!("{number}.{task}.{from}");
                if rotate(&store, "s", from, &successor).await == Moved::Yes {
                    say(&format!("{from} {successor}"));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_ends_one_counts_and_no_rotation_follows() {
    let database = Database::new().await;
    for id in sessions() {
        database.begin(&id).await;
    }
    let before = [database.rows("revocations"), database.rows("audit_events")];

    let said = run_together(Role::End, &database.url);

    let times = |line: &str| said.iter().filter(|said| *said == line).count();
    let new = |table, before| added(before, &database.rows(table));
    let (records, audit) = (new("revocations", &before[0]), new("audit_events", &before[1]));
    assert_eq!((records.len(), audit.len()), (SESSIONS, SESSIONS));
    for id in sessions() {
        let session = database.session(&id).await;
        assert_eq!(session.revoked_at, Some(NOW));
        assert_eq!(times(&format!("{id} ended")), 1);
        assert_eq!(times(&format!("{id} revived")), 0);
        assert_eq!(i64::try_from(times(&format!("{id} rotated"))).unwrap(), session.generation - 1);
        assert_eq!(mentions(&records, "id", &id), 1);
        assert_eq!(mentions(&audit, "session_id", &id), 1);
    }
}

/// Rotates a little, ends the session, and tries to rotate it once more.
pub(crate) async fn ends(store: Store, number: usize) {
    at_once(TASKS, |task| {
        let store = store.clone();
        async move {
            for id in sessions() {
                for _ in 0..2 + (number + task) % 3 {
                    if rotate_further(&store, &id).await == Moved::Yes {
                        say(&format!("{id} rotated"));
                    }
                }
                if end(&store, &id).await == Ending::Ended {
                    say(&format!("{id} ended"));
                }
                if rotate_further(&store, &id).await == Moved::Yes {
                    say(&format!("{id} revived"));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_that_stays_is_noted_at_its_own_generation_only() {
    let database = Database::new().await;
    database.begin("s").await;

    let said = run_together(Role::Keep, &database.url);

    assert_eq!(said, [""; 0], "noted after the generation was over");
    let session = database.session("s").await;
    assert_eq!(session.generation, GENERATIONS + 1);
    assert!(session.sealed_successor.is_some(), "the last rotation kept its grace");
}

/// Uses each generation, rotates it, and uses it once more.
pub(crate) async fn keeps(store: Store, number: usize) {
    at_once(TASKS, |task| {
        let store = store.clone();
        async move {
            for from in 1..=GENERATIONS {
                keep(&store, from).await;
                rotate(&store, "s", from, &format!("{number}.{task}")).await;
                if keep(&store, from).await == Moved::Yes {
                    say(&format!("{from} kept"));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_current_generation_of_a_live_session_moves() {
    let at_three = Database::new().await;
    at_three.begin("s").await;
    for from in [1, 2] {
        assert_eq!(rotate(&at_three.store, "s", from, "next").await, Moved::Yes);
    }
    let ended = Database::new().await;
    ended.begin("s").await;
    end(&ended.store, "s").await;

    let table = [
        ("an older generation", &at_three, "s", 2),
        ("a generation to come", &at_three, "s", 4),
        ("another session", &at_three, "t", 3),
        ("an ended session", &ended, "s", 1),
    ];
    for (what, database, sid, generation) in table {
        let before = database.contents();
        assert_eq!(rotate(&database.store, sid, generation, "late").await, Moved::LostRace, "{what}");
        let note = fixture::keep(&fixture::session(sid, NOW), generation);
        let kept = database.write(move |write| write.change().keep_session(&note)).await;
        assert_eq!(kept, Moved::LostRace, "{what}");
        assert_eq!(database.contents(), before, "{what}");
    }
}

#[tokio::test]
async fn a_rotation_writes_what_a_retry_needs_and_a_use_ends_the_grace() {
    let database = Database::new().await;
    let begun = database.begin("s").await;
    rotate(&database.store, "s", 1, "next").await;
    let after_rotation = rotated(&begun, 1, "next");
    assert_eq!(database.session("s").await, after_rotation);

    assert_eq!(keep(&database.store, 2).await, Moved::Yes);
    let expected = Session {
        previous_jti_digest: None,
        sealed_successor: None,
        last_used_at: NOW + Duration::from_secs(2),
        idle_expires_at: NOW + Duration::from_secs(200),
        ..after_rotation
    };
    assert_eq!(database.session("s").await, expected);
}

#[tokio::test]
async fn the_second_end_changes_nothing() {
    let database = Database::new().await;
    database.begin("s").await;
    let table = [("s", Ending::Ended), ("s", Ending::AlreadyOver), ("nobody's", Ending::Unknown)];
    for (id, expected) in table {
        let before = database.contents();
        assert_eq!(end(&database.store, id).await, expected);
        assert_eq!(database.contents() == before, expected != Ending::Ended, "{id}: {expected:?}");
    }
    assert_eq!(mentions(&database.rows("sessions"), "revocation_reason", "logout"), 1);
}

/// A session after its rotation from generation `from`.
fn rotated(begun: &Session, from: i64, successor: &str) -> Session {
    let rotation = rotation("s", from, successor);
    Session {
        generation: from + 1,
        jti_digest: digest(successor),
        previous_jti_digest: Some(rotation.previous_jti_digest),
        rotated_at: rotation.rotated_at,
        kid: rotation.kid,
        sealed_successor: Some(rotation.sealed_successor),
        rotated_by: rotation.rotated_by,
        last_used_at: rotation.rotated_at,
        idle_expires_at: rotation.idle_expires_at,
        ..begun.clone()
    }
}

async fn rotate(store: &Store, sid: &str, from: i64, successor: &str) -> Moved {
    let rotation = rotation(sid, from, successor);
    store.write(move |write| write.change().rotate_session(&rotation)).await.unwrap()
}

/// Rotates from whatever generation is the current one.
async fn rotate_further(store: &Store, sid: &str) -> Moved {
    let id = SessionId(sid.to_owned());
    let standing = store.read(move |read| read.find_standing(&id)).await.unwrap().unwrap();
    rotate(store, sid, standing.session.generation, "next").await
}

async fn keep(store: &Store, generation: i64) -> Moved {
    let keep = fixture::keep(&fixture::session("s", NOW), generation);
    store.write(move |write| write.change().keep_session(&keep)).await.unwrap()
}

async fn end(store: &Store, sid: &str) -> Ending {
    let id = SessionId(sid.to_owned());
    store
        .write(move |write| write.revoke_session(&id, Reason::Logout, &event(Event::SessionRevoked)))
        .await
        .unwrap()
}

fn sessions() -> impl Iterator<Item = String> {
    (0..SESSIONS).map(|number| format!("s{number}"))
}

fn mentions(rows: &[String], column: &str, text: &str) -> usize {
    rows.iter().filter(|row| row.split(' ').any(|field| field == format!("{column}='{text}'"))).count()
}
