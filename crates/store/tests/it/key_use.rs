//! What a key was used for only grows, whoever reports it and in whatever order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attesto_core::{Instant, KeyState, KeyUse};
use attesto_store::Store;

use crate::fixture::{Database, NOW, RS256, key, violation};
use crate::processes::{PROCESSES, Role, at_once, run_together};

const TASKS: usize = 4;
const REPORTS: usize = 10;

#[tokio::test]
async fn the_latest_exp_rises_only_and_signatures_add_up() {
    let database = Database::empty().await;
    database.begin_keys(vec![key("k", RS256, KeyState::Active), key("other", RS256, KeyState::Staged)]).await;
    let table = [
        (None, 0, None, 0),
        (None, 2, None, 2),
        (Some(5), 0, Some(5), 2),
        (Some(4), 3, Some(5), 5),
        (None, 1, Some(5), 6),
        (Some(5), 0, Some(5), 6),
        (Some(6), 1, Some(6), 7),
        (None, i64::MAX, Some(6), i64::MAX),
        (None, 1, Some(6), i64::MAX),
    ];
    for (exp, signatures, latest_exp, sum) in table {
        let used = KeyUse { latest_exp: exp.map(at), signatures };
        database.write(move |write| write.raise_key_use("k", &used)).await;
        let expected = KeyUse { latest_exp: latest_exp.map(at), signatures: sum };
        assert_eq!(used_of(&database.store).await, expected, "after {used:?}");
    }
    let facts = database.read(|read| read.find_key_facts()).await;
    assert_eq!(facts.uses.keys().collect::<Vec<_>>(), ["k"]);
}

#[tokio::test]
async fn a_key_that_is_unknown_is_not_used() {
    let database = Database::empty().await;
    database.begin_keys(vec![key("k", RS256, KeyState::Active)]).await;
    let before = database.contents();
    let used = KeyUse { latest_exp: Some(NOW), signatures: 1 };
    let refused = database.store.write(move |write| write.raise_key_use("K", &used)).await.unwrap_err();
    assert_eq!(violation(&refused), "ForeignKeyViolation");
    assert_eq!(database.contents(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_reports_none_is_lost() {
    let database = Database::empty().await;
    database.begin_keys(vec![key("k", RS256, KeyState::Active)]).await;

    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(database.store.clone(), over.clone()));
    let url = database.url.clone();
    let reporting = tokio::task::spawn_blocking(move || run_together(Role::UseKey, &url)).await;
    over.store(true, Ordering::Release);
    reporting.unwrap();
    watching.await.unwrap();

    let all: Vec<_> =
        (0..PROCESSES).flat_map(|number| (0..TASKS).flat_map(move |task| reports(number, task))).collect();
    let expected = KeyUse {
        latest_exp: all.iter().filter_map(|used| used.latest_exp).max(),
        signatures: all.iter().map(|used| used.signatures).sum(),
    };
    assert_eq!(used_of(&database.store).await, expected);
}

/// Looks all the time whether anything falls.
async fn watch(store: Store, over: Arc<AtomicBool>) {
    let mut before = KeyUse::default();
    while !over.load(Ordering::Acquire) {
        let now = used_of(&store).await;
        assert!(
            now.latest_exp >= before.latest_exp && now.signatures >= before.signatures,
            "{before:?}, {now:?}"
        );
        before = now;
    }
}

/// Notes its uses, one after the other.
pub(crate) async fn uses(store: Store, number: usize) {
    at_once(TASKS, |task| {
        let store = store.clone();
        async move {
            for used in reports(number, task) {
                store.write(move |write| write.raise_key_use("k", &used)).await.unwrap();
            }
        }
    })
    .await;
}

/// What one task reports: every second one counts down, so that the highest `exp` does not come last.
fn reports(number: usize, task: usize) -> impl Iterator<Item = KeyUse> {
    (0..REPORTS).map(move |report| {
        let step = if task.is_multiple_of(2) { REPORTS - report } else { report };
        let latest_exp = Some(at(u64::try_from(1_000 * step + number).unwrap()));
        KeyUse { latest_exp, signatures: i64::try_from(number + task * report).unwrap() }
    })
}

async fn used_of(store: &Store) -> KeyUse {
    store.read(|read| read.find_key_facts()).await.unwrap().of("k")
}

fn at(millis: u64) -> Instant {
    NOW + Duration::from_millis(millis)
}
