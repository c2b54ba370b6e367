//! Attempts are counted before passwords are hashed, so that parallel guesses cannot overtake the count.

use std::time::Duration;

use attesto_core::{Attempts, Blocked, Instant, ThrottleLimits, UserId};
use attesto_store::{Reservation, Store, StoreError, ThrottleKeys, Write};

use crate::fixture::{Database, NOW};
use crate::processes::{PROCESSES, Role, at_once, run_together, say};

/// 200 attempts in all.
const TASKS: usize = 200 / PROCESSES;
const ADDRESS: &str = "1.1.1.1";
const LIMITS: ThrottleLimits = ThrottleLimits { user_failures: 10, address_failures: 100 };

#[tokio::test]
async fn of_200_parallel_guesses_exactly_the_free_ones_pass() {
    for (role, free) in [(Role::GuessOneUser, 10), (Role::GuessFromOneAddress, 100)] {
        let database = Database::empty().await;
        let passed = run_together(role, &database.url);
        assert_eq!(passed.len(), free, "{role:?}");
    }
}

pub(crate) async fn guesses_one_user(store: Store, number: usize) {
    guess(store, |task| of_ada(&format!("address {number}.{task}"))).await;
}

pub(crate) async fn guesses_from_one_address(store: Store, number: usize) {
    guess(store, |task| ThrottleKeys::of_unknown(&format!("name {number}.{task}"), "address")).await;
}

async fn guess(store: Store, keys: impl Fn(usize) -> ThrottleKeys) {
    at_once(TASKS, |task| {
        let (store, keys) = (store.clone(), keys(task));
        async move {
            let reserved = store.write(move |write| write.reserve_attempt(&keys, LIMITS, NOW)).await;
            if reserved.unwrap().is_ok() {
                say("passed");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_blocked_attempt_is_counted_by_neither_counter() {
    let database = Database::empty().await;
    // Ten that are used up, and only nine at the other address and by the other user.
    let few = ThrottleLimits { user_failures: 10, address_failures: 10 };
    let attempt = |user: &'static str, address: &'static str, now| {
        let keys = ThrottleKeys::of_user(&UserId(user.to_owned()), address);
        database.write(move |write| Ok(write.reserve_attempt(&keys, few, now)?.map(drop)))
    };
    for _ in 0..10 {
        attempt("ada", "1.1.1.1", NOW).await.unwrap();
    }
    for _ in 0..9 {
        attempt("eve", "2.2.2.2", NOW).await.unwrap();
    }
    let before = database.contents();
    let soon = NOW + Duration::from_secs(1);
    for (user, address) in [("ada", "1.1.1.1"), ("ada", "2.2.2.2"), ("eve", "1.1.1.1")] {
        assert_eq!(attempt(user, address, NOW).await, Err(Blocked { until: soon }), "{user} {address}");
        assert_eq!(database.contents(), before, "{user} {address}");
    }
    attempt("ada", "1.1.1.1", soon).await.unwrap();
    // Both have to wait now, ada's address longer.
    attempt("eve", "2.2.2.2", NOW).await.unwrap();
    let later = soon + Duration::from_secs(2);
    assert_eq!(attempt("eve", "1.1.1.1", NOW).await, Err(Blocked { until: later }));
}

#[tokio::test]
async fn a_counter_is_forgotten_when_nothing_was_added_to_it() {
    let database = Database::empty().await;
    reserve(&database, 5, NOW).await;
    let just_before = NOW + Attempts::LIFETIME - Duration::from_millis(1);
    reserve(&database, 1, just_before).await;
    assert_eq!(failures(&database), ["key='address:1.1.1.1' failures=6", "key='user:ada' failures=6"]);
    reserve(&database, 1, just_before + Attempts::LIFETIME).await;
    assert_eq!(failures(&database), ["key='address:1.1.1.1' failures=1", "key='user:ada' failures=1"]);
}

#[tokio::test]
async fn a_refund_takes_one_back_and_a_success_clears_the_user_only() {
    type Verb = fn(&mut Write<'_>, &Reservation) -> Result<(), StoreError>;
    let refund: Verb = |write, reservation| write.refund_attempt(reservation);
    let clear: Verb = |write, reservation| write.clear_attempts(reservation);
    let of_address = "key='address:1.1.1.1' failures=2";
    let table: [(Verb, &[&str]); 2] =
        [(refund, &[of_address, "key='user:ada' failures=2"]), (clear, &[of_address])];
    for (verb, expected) in table {
        let database = Database::empty().await;
        let reservation = reserve(&database, 3, NOW).await.remove(2);
        database.write(move |write| verb(write, &reservation)).await;
        assert_eq!(failures(&database), expected);
    }
}

#[tokio::test]
async fn a_success_leaves_no_wait_and_no_longer_memory_behind() {
    let database = Database::empty().await;
    let few = ThrottleLimits { user_failures: 10, address_failures: 3 };
    let attempt = move |write: &mut Write<'_>| write.reserve_attempt(&of_ada(ADDRESS), few, NOW);
    reserve(&database, 2, NOW).await;
    let before = database.contents();
    let reservation = database.write(attempt).await.unwrap();
    assert!(database.write(attempt).await.is_err(), "the third failure makes the next one wait");
    database.write(move |write| write.refund_attempt(&reservation)).await;
    assert_eq!(database.contents(), before);
}

#[tokio::test]
async fn an_unknown_name_is_stored_as_its_digest() {
    let database = Database::empty().await;
    let keys = ThrottleKeys::of_unknown("a password in the wrong field", ADDRESS);
    database.write(move |write| write.reserve_attempt(&keys, LIMITS, NOW)).await.unwrap();
    assert!(!database.contents().iter().any(|row| row.contains("password in")));
}

/// Counts `count` attempts at `ada`, none of which has to wait.
async fn reserve(database: &Database, count: usize, now: Instant) -> Vec<Reservation> {
    let reserve = move |write: &mut Write<'_>| {
        (0..count).map(|_| write.reserve_attempt(&of_ada(ADDRESS), LIMITS, now)).collect::<Result<_, _>>()
    };
    let reserved: Vec<_> = database.write(reserve).await;
    reserved.into_iter().collect::<Result<_, _>>().unwrap()
}

fn of_ada(address: &str) -> ThrottleKeys {
    ThrottleKeys::of_user(&UserId("ada".to_owned()), address)
}

/// Each counter and its failures.
fn failures(database: &Database) -> Vec<String> {
    let rows = database.rows("throttles");
    rows.iter().map(|row| row.split_once(" blocked_until").unwrap().0.to_owned()).collect()
}
