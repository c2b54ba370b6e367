//! What is decided by a row that somebody else changes at the same time. Both orders are brought about: who came first
//! is inside its transaction while the other one begins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attesto_core::{
    ClientId, Event, Instant, KeyState, KeyUse, RevocationKind, Rotation, SessionId, ThrottleLimits, UserId,
};
use attesto_store::{Began, Moved, Read, Store, StoreError, ThrottleKeys, Write};

use crate::atomicity::wait;
use crate::fixture::{Database, NOW, RS256, event, keep, key, rotation, session};
use crate::place::Place;
use crate::postgres::Named;

/// Ends all sessions of somebody.
type End = fn(&mut Write<'_>) -> Result<(), StoreError>;

const ENDS: [(&str, End); 3] = [
    ("user", |write| {
        write.revoke_user_sessions(&UserId("ada".to_owned()), &event(Event::SessionRevoked)).map(drop)
    }),
    ("client", |write| {
        write.revoke_client_sessions(&ClientId("web".to_owned()), &event(Event::SessionRevoked)).map(drop)
    }),
    ("everybody", |write| write.revoke_all_sessions(&event(Event::SessionRevoked))),
];

/// The clock of the server that refreshes is ahead of the one that ends: what it issues is younger than the end.
const AHEAD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_refreshed_while_an_end_waits_is_ended_by_it() {
    for (whose, end) in ENDS {
        let database = database().await;
        database.begin("s").await;
        let next = Rotation { rotated_at: NOW + AHEAD, ..rotation("s", 1, "next") };
        let (rotated, ()) =
            overlapping(&database, move |write| write.change().rotate_session(&next), end).await;
        assert_eq!(rotated, Moved::Yes, "{whose}");
        let session = database.session("s").await;
        assert!(session.revoked_at.is_some(), "{whose}: it was refreshed, and its end did not see it");
        let records = database.read(|read| read.list_revocations(0, 10)).await;
        let of_session = records.iter().filter(|record| record.kind == RevocationKind::Session as i32);
        assert_eq!(of_session.count(), 1, "{whose}");
    }
}

#[tokio::test]
async fn what_is_used_or_begun_while_an_end_waits_is_ended_by_it() {
    for (whose, end) in ENDS {
        let database = database().await;
        let begun = database.begin("s").await;
        let mut keep = keep(&begun, 1);
        keep.access.issued_at = NOW + AHEAD;
        let (kept, ()) = overlapping(&database, move |write| write.change().keep_session(&keep), end).await;
        assert_eq!(kept, Moved::Yes, "{whose}");
        assert!(database.session("s").await.revoked_at.is_some(), "{whose}");

        let later = session("t", NOW + AHEAD + AHEAD);
        let sign_in = move |write: &mut Write<'_>| write.insert_session(&later, 1, &event(Event::SignedIn));
        let (outcome, ()) = overlapping(&database, sign_in, end).await;
        assert_eq!(outcome, Began::Yes, "{whose}");
        assert!(database.session("t").await.revoked_at.is_some(), "{whose}");
    }
}

#[tokio::test]
async fn what_is_refreshed_while_it_is_ended_waits_and_is_refused() {
    for (whose, end) in ENDS {
        let database = database().await;
        database.begin("s").await;
        let next = Rotation { rotated_at: NOW, ..rotation("s", 1, "next") };
        let ((), rotated) =
            overlapping(&database, end, move |write| write.change().rotate_session(&next)).await;
        assert_eq!(rotated, Moved::LostRace, "{whose}");
    }
}

#[tokio::test]
async fn what_is_used_or_begun_while_it_is_ended_waits_and_is_refused() {
    for (whose, end) in ENDS {
        let database = database().await;
        let begun = database.begin("s").await;
        let mut keep = keep(&begun, 1);
        keep.access.issued_at = NOW;
        let ((), kept) = overlapping(&database, end, move |write| write.change().keep_session(&keep)).await;
        assert_eq!(kept, Moved::LostRace, "{whose}");
        let again = session("t", NOW);
        let sign_in = move |write: &mut Write<'_>| write.insert_session(&again, 1, &event(Event::SignedIn));
        let ((), outcome) = overlapping(&database, end, sign_in).await;
        assert_eq!(outcome, Began::Stale, "{whose}");
    }
}

/// A lock is waited for a second, and that again unless three have passed.
#[tokio::test]
async fn a_refresh_by_itself_outlasts_an_end_that_is_slow_and_not_one_that_hangs() {
    for (held, outcome) in [(1500, Some(Moved::LostRace)), (5500, None)] {
        let database = database().await;
        database.begin("s").await;
        let (begun, is_begun) = channel();
        let end = database.store.write(move |write| {
            let ended =
                write.revoke_user_sessions(&UserId("ada".to_owned()), &event(Event::SessionRevoked))?;
            let _ = begun.send(());
            std::thread::sleep(Duration::from_millis(held));
            Ok(ended)
        });
        let refresh = async {
            tokio::task::spawn_blocking(move || wait(&is_begun)).await.unwrap();
            let next = Rotation { rotated_at: NOW, ..rotation("s", 1, "next") };
            let store = &database.store;
            store.change(&mut store.expect_write(), move |change| change.rotate_session(&next)).await
        };
        let (_, refreshed) = tokio::join!(end, refresh);
        assert_eq!(refreshed.as_ref().ok(), outcome.as_ref(), "{held} ms: {refreshed:?}");
        if let Err(refused) = refreshed {
            assert!(refused.to_string().contains("lock timeout"), "{refused}");
        }
    }
}

/// An index that is being made, for example. Otherwise it would be written after its answer was given up.
#[tokio::test]
async fn a_refresh_by_itself_does_not_outlast_a_table_that_is_locked() {
    let database = Arc::new(database().await);
    database.begin("s").await;
    let locked = while_locked(&database, "LOCK TABLE sessions IN SHARE MODE; SELECT pg_sleep(5.5)").await;
    let next = Rotation { rotated_at: NOW, ..rotation("s", 1, "next") };
    let store = &database.store;
    let refreshed = store.change(&mut store.expect_write(), move |change| change.rotate_session(&next)).await;
    let refused = refreshed.unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    assert!(!locked.is_finished());
    locked.await.unwrap();
}

/// Whoever finds a session is in no transaction that could wait for longer.
#[tokio::test]
async fn who_only_reads_outlasts_a_table_that_is_locked_for_a_while() {
    let database = Arc::new(database().await);
    database.begin("s").await;
    let locked = while_locked(&database, "LOCK TABLE sessions; SELECT pg_sleep(2.5)").await;
    let find = |read: &mut Read<'_>| read.find_standing(&SessionId("s".to_owned()));
    let (store, begun) = (&database.store, std::time::Instant::now());
    let (found, read) = tokio::join!(store.find(find), store.read(find));
    assert!(begun.elapsed() > Duration::from_secs(2) && locked.await.is_ok());
    assert!(found.unwrap().is_some() && read.unwrap().is_some());
}

#[tokio::test]
async fn who_migrates_waits_for_whoever_else_does_however_long() {
    let database = Arc::new(database().await);
    let turn = "UPDATE migration_turns SET turn = turn + 1; SELECT pg_sleep(7)";
    let locked = while_locked(&database, turn).await;
    assert_eq!(database.store.migrate().await.unwrap(), [""; 0]);
    assert!(locked.is_finished());
}

/// Somebody who runs `sql` and is asleep in it.
async fn while_locked(database: &Arc<Database>, sql: &str) -> tokio::task::JoinHandle<()> {
    // What takes the constraints away is committed before.
    let (locking, sql) = (Arc::clone(database), format!("COMMIT; BEGIN; {sql}; COMMIT"));
    let locked = tokio::task::spawn_blocking(move || locking.tamper(&sql));
    let Place::Postgres(named) = &database.place else { panic!("a file has no such locks") };
    while !named.has_sleeper() {
        tokio::task::yield_now().await;
    }
    locked
}

/// Refreshes that overlap without end: each shares what an end has to hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_gets_its_turn_while_others_keep_coming() {
    const OTHERS: usize = 6;
    for (whose, end) in ENDS {
        let database = database().await;
        let over = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = (0..OTHERS)
            .map(|number| {
                let (store, over) = (database.store.clone(), Arc::clone(&over));
                let sid = format!("s{number}");
                tokio::spawn(async move {
                    let begun = session(&sid, NOW);
                    let keep = keep(&begun, 1);
                    store
                        .write(move |it| it.insert_session(&begun, 1, &event(Event::SignedIn)))
                        .await
                        .unwrap();
                    while !over.load(Ordering::Relaxed) {
                        let keep = keep.clone();
                        let slowly = move |write: &mut Write<'_>| {
                            let kept = write.change().keep_session(&keep);
                            std::thread::sleep(Duration::from_millis(15));
                            kept
                        };
                        store.write(slowly).await.unwrap();
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Without a turn of its own it ends by the time-out of its statement.
        let ended = database.store.write(end).await;
        assert!(ended.is_ok(), "{whose}: {ended:?}");
        over.store(true, Ordering::Relaxed);
        for other in others {
            other.await.unwrap();
        }
    }
}

/// Of two ends at once the later one stands.
#[tokio::test]
async fn a_watermark_never_falls() {
    let end_at = |at: Instant| {
        move |write: &mut Write<'_>| {
            let mut event = event(Event::SessionRevoked);
            event.at = at;
            write.revoke_user_sessions(&UserId("ada".to_owned()), &event)
        }
    };
    let database = database().await;
    overlapping(&database, end_at(NOW + AHEAD), end_at(NOW)).await;
    let user = database.read(|read| read.find_user(&UserId("ada".to_owned()))).await.unwrap();
    assert!(user.watermark.covers(NOW + AHEAD));
}

#[tokio::test]
async fn no_attempt_goes_uncounted() {
    let attempt = |write: &mut Write<'_>| {
        let keys = ThrottleKeys::of_user(&UserId("ada".to_owned()), "::1");
        write.reserve_attempt(&keys, ThrottleLimits::default(), NOW).map(drop)
    };
    let database = database().await;
    database.write(attempt).await;
    overlapping(&database, attempt, attempt).await;
    let counters = database.rows("throttles");
    assert!(counters.len() == 2 && counters.iter().all(|row| row.contains("failures=3")), "{counters:?}");
}

#[tokio::test]
async fn no_signature_goes_uncounted() {
    let used =
        |write: &mut Write<'_>| write.raise_key_use("k", &KeyUse { latest_exp: Some(NOW), signatures: 5 });
    let database = database().await;
    database.begin_keys(vec![key("k", RS256, KeyState::Active)]).await;
    database.write(used).await;
    overlapping(&database, used, used).await;
    let facts = database.read(|read| read.find_key_facts()).await;
    assert_eq!(facts.of("k").signatures, 15);
}

/// Runs `second` in another process's place while `first` has done its work and not committed it. What both give.
async fn overlapping<A, B>(
    database: &Database,
    first: impl Fn(&mut Write<'_>) -> Result<A, StoreError> + Send + 'static,
    second: impl Fn(&mut Write<'_>) -> Result<B, StoreError> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let other = Store::open(&database.url).unwrap();
    let (begun, is_begun) = channel();
    let (release, is_released) = channel();
    let is_released = Mutex::new(is_released);
    let first = database.store.write(move |write| {
        let outcome = first(write)?;
        // Run again it would find the channel closed.
        let _ = begun.send(());
        wait(&is_released.lock().unwrap());
        Ok(outcome)
    });
    let second = async {
        tokio::task::spawn_blocking(move || wait(&is_begun)).await.unwrap();
        let mut second = Box::pin(other.write(second));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut second).await;
        assert!(early.is_err(), "it waits for the first");
        release.send(()).unwrap();
        second.await.unwrap()
    };
    let (first, second) = tokio::join!(first, second);
    (first.unwrap(), second)
}

async fn database() -> Database {
    Database::at(Place::Postgres(Named::new())).await
}
