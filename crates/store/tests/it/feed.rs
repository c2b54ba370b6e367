//! The feed: every record has one place, without gaps, and a reader that pages meets each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attesto_core::{Event, RevocationKind, UserId};
use attesto_store::{RecordedRevocation, Store, Write};

use crate::fixture::{Database, event, user};
use crate::processes::{Role, at_once, run_many};

/// Processes, tasks of each, and records of each task: 64 writers, 10,048 records.
const WRITERS: usize = 16;
const TASKS: usize = 4;
const RECORDS: usize = 157;
const PAGE: i64 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pages_sees_every_record_once_and_in_order() {
    let database = Database::new().await;
    database
        .write(|write| {
            let ids = (0..WRITERS).flat_map(|number| (0..TASKS).flat_map(move |task| ids(number, task)));
            ids.map(|id| user(&id))
                .try_for_each(|user| write.insert_user(&user, &event(Event::UserAdded)).map(drop))
        })
        .await;
    database.delay_records();

    let over = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(read_all(database.store.clone(), over.clone()));
    let url = database.url.clone();
    let writing = tokio::task::spawn_blocking(move || run_many(WRITERS, Role::Append, &url)).await;
    over.store(true, Ordering::Release);
    writing.unwrap();
    let seen = reading.await.unwrap();

    let total = WRITERS * TASKS * RECORDS;
    assert!(seen.iter().map(|record| record.seq).eq(1..=i64::try_from(total).unwrap()));
    for number in 0..WRITERS {
        for task in 0..TASKS {
            // Each writer waited for its commits, so the feed has its records in the order of its calls.
            let mine = format!("{number}.{task}.");
            let order = seen.iter().map(|record| &record.id).filter(|id| id.starts_with(&mine));
            assert!(order.eq(&ids(number, task)), "{mine}");
        }
    }
    assert!(seen.iter().all(|record| record.kind == RevocationKind::Subject as i32));
}

/// Pages until all is written and nothing is left.
async fn read_all(store: Store, over: Arc<AtomicBool>) -> Vec<RecordedRevocation> {
    let mut seen: Vec<RecordedRevocation> = vec![];
    loop {
        let was_over = over.load(Ordering::Acquire);
        let after = seen.last().map_or(0, |record| record.seq);
        let page = store.read(move |read| read.list_revocations(after, PAGE)).await.unwrap();
        if page.is_empty() && was_over {
            return seen;
        }
        seen.extend(page);
    }
}

/// Ends the sessions of its users, one user after the other.
pub(crate) async fn appends(store: Store, number: usize) {
    at_once(TASKS, |task| {
        let store = store.clone();
        async move {
            for id in ids(number, task) {
                append(&store, &UserId(id)).await;
            }
        }
    })
    .await;
}

/// With so many processes one may have to wait for longer than a write is given. Then nothing was written.
async fn append(store: &Store, id: &UserId) {
    const ATTEMPTS: usize = 10;
    for attempt in 1..=ATTEMPTS {
        let id = id.clone();
        let revoke = move |write: &mut Write<'_>| {
            write.revoke_user_sessions(&id, &event(Event::UserSessionsRevoked)).map(drop)
        };
        match store.write(revoke).await {
            Ok(()) => return,
            Err(cause) => assert!(attempt < ATTEMPTS, "{cause}"),
        }
    }
}

/// The users of one task.
fn ids(number: usize, task: usize) -> Vec<String> {
    (0..RECORDS).map(|record| format!("{number}.{task}.{record}")).collect()
}
