//! Writes wait for each other, and become durable in groups.

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};

use attesto_store::StoreError;

use crate::atomicity::{still_works, wait};
use crate::fixture::Database;

/// How many writes may wait.
const QUEUE: usize = 1024;

#[tokio::test]
async fn a_full_queue_is_said_at_once() {
    let database = Database::new().await;
    let (release, blocked) = channel();
    let (started, running) = channel();
    let blocked = Mutex::new(blocked);
    let mut first = pin!(database.store.write(move |_| {
        started.send(()).unwrap();
        wait(&blocked.lock().unwrap());
        Ok(())
    }));
    assert!(poll(&mut first).is_pending());
    wait(&running);

    let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(database.store.write(|_| Ok(())))).collect();
    assert!(waiting.iter_mut().all(|write| poll(write).is_pending()));
    let mut refused = pin!(database.store.write(|_| Ok(())));
    assert!(matches!(poll(&mut refused), Poll::Ready(Err(StoreError::Overloaded))));

    release.send(()).unwrap();
    first.await.unwrap();
    for write in waiting {
        write.await.unwrap();
    }
    still_works(&database).await;
}

/// Sets a future going.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
