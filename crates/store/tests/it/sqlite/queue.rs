//! Writes wait for each other, and become durable in groups.

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use attesto_core::{AuditFilter, Event, Session};
use attesto_store::StoreError;

use super::file::files;
use crate::atomicity::{still_works, wait};
use crate::fixture::{Database, NOW, event, session};
use crate::place::Place;

/// How many writes may wait.
const QUEUE: usize = 1024;

#[tokio::test]
async fn a_full_queue_is_said_at_once() {
    let database = Database::at(Place::folder()).await;
    let (release, mut first) = hold_up(&database);
    let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(database.store.write(|_| Ok(())))).collect();
    assert!(waiting.iter_mut().all(|write| poll(write).is_pending()));
    let mut refused = pin!(database.store.write(|_| Ok(())));
    assert!(matches!(poll(&mut refused), Poll::Ready(Err(StoreError::Overloaded))));

    release.send(()).unwrap();
    first.as_mut().await.unwrap();
    for write in waiting {
        write.await.unwrap();
    }
    still_works(&database).await;
}

/// One refusal, panic or failed statement takes nothing from the others, and all that is left is one commit.
#[tokio::test]
async fn what_waits_together_is_committed_together_and_answered_one_by_one() {
    const WRITES: usize = 40;
    const PAGE: u64 = 4096;
    let database = Database::at(Place::folder()).await;
    let log = || std::fs::metadata(&files(&database.url)[1]).unwrap().len();
    let (release, mut first) = hold_up(&database);
    let write = |number: usize| {
        database.store.write(move |write| {
            write.record(&event(Event::UserAdded).note(&number.to_string()))?;
            match number % 4 {
                0 => Err(StoreError::Overloaded),
                1 => panic!("on purpose"),
                2 => write.insert_session(&impossible(), 1, &event(Event::SignedIn)).map(|_| number),
                _ => Ok(number),
            }
        })
    };
    let mut waiting: Vec<_> = (0..WRITES).map(|number| Box::pin(write(number))).collect();
    assert!(waiting.iter_mut().all(|write| poll(write).is_pending()));
    let before = log();
    release.send(()).unwrap();
    first.as_mut().await.unwrap();
    for (number, write) in waiting.into_iter().enumerate() {
        match (number % 4, write.await) {
            (0, Err(StoreError::Overloaded))
            | (1, Err(StoreError::Abandoned))
            | (2, Err(StoreError::Database(_))) => {}
            (3, Ok(answered)) => assert_eq!(answered, number),
            (_, other) => panic!("{number}: {other:?}"),
        }
    }
    let kept = database.read(|read| read.list_audit_events(&AuditFilter::default(), 1000)).await;
    let mut kept: Vec<usize> = kept.iter().filter_map(|row| row.reason.as_ref()?.parse().ok()).collect();
    kept.sort_unstable();
    assert!(kept.into_iter().eq((0..WRITES).filter(|number| number % 4 == 3)));
    let grown = (log() - before) / PAGE;
    assert!(grown < (WRITES / 4) as u64, "{grown} pages were written: more than one commit");
    still_works(&database).await;
}

/// A write that was begun.
type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Occupies the thread that writes, until it is released.
fn hold_up(database: &Database) -> (Sender<()>, Writing<'_>) {
    let (release, blocked) = channel();
    let (started, running) = channel();
    let blocked = Mutex::new(blocked);
    let mut first = Box::pin(database.store.write(move |_| {
        started.send(()).unwrap();
        wait(&blocked.lock().unwrap());
        Ok(())
    }));
    assert!(poll(&mut first).is_pending());
    wait(&running);
    (release, first)
}

/// A row that a constraint of the database refuses.
fn impossible() -> Session {
    let mut session = session("t", NOW);
    session.idle_expires_at = session.absolute_expires_at + Duration::from_millis(1);
    session
}

/// Sets a future going.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
