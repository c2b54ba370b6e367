use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, TransactionManager};

use crate::connection;
use crate::error::{OpenError, StoreError};
use crate::url::DatabaseUrl;

/// How many writes may wait for the one that runs; beyond that the answer is "overloaded" at once.
const QUEUE: usize = 1024;

/// A write that has waited this long behind others is dropped instead of run: whoever asked for it was promised an
/// answer, and a queue behind a stuck database must not grow into minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(crate) type Job = Box<dyn FnOnce(&mut SqliteConnection) + Send>;

struct Queued {
    job: Job,
    since: Instant,
}

/// The one thread of this process that writes. Dropping it waits for what is queued and closes the connection, so that
/// the last one to leave folds the write-ahead log into the database file.
pub(crate) struct Writer {
    /// Always there, until it is dropped.
    queue: Option<SyncSender<Queued>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let worker = Worker { url: url.clone(), connection: connection::writer(url)? };
        let thread = thread::Builder::new()
            .name("attesto-writer".to_owned())
            .spawn(move || worker.run(&jobs))
            .map_err(|cause| connection::unreachable(url, &cause))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a job behind those that wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Abandoned)?;
        queue.try_send(Queued { job, since: Instant::now() }).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Abandoned,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // It catches the panics of its jobs; there is nobody left to tell of another.
            let _ = thread.join();
        }
    }
}

struct Worker {
    url: DatabaseUrl,
    connection: SqliteConnection,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Queued>) {
        for Queued { job, since } in jobs {
            if since.elapsed() > LONGEST_WAIT {
                continue;
            }
            let panicked = catch_unwind(AssertUnwindSafe(|| job(&mut self.connection))).is_err();
            // A full disk can roll the transaction back under diesel, which then trusts its connection no more.
            if panicked || AnsiTransactionManager::is_broken_transaction_manager(&mut self.connection) {
                self.reconnect();
            }
        }
    }

    /// On failure the old connection stays, its errors are answered, and the next job tries again.
    fn reconnect(&mut self) {
        match connection::writer(&self.url) {
            Ok(connection) => self.connection = connection,
            Err(cause) => tracing::error!(%cause, "the writer could not reconnect"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_write_that_waited_too_long_is_dropped_and_the_next_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), "").unwrap();
        let url = DatabaseUrl::parse("sqlite:a.db", Path::new(folder.path())).unwrap();
        let worker = Worker { url: url.clone(), connection: connection::writer(&url).unwrap() };
        let (queue, jobs) = sync_channel(QUEUE);
        let (ran, outcomes) = channel();
        let long_ago = Instant::now().checked_sub(LONGEST_WAIT + Duration::from_secs(1)).unwrap();
        for (name, since) in [("stale", long_ago), ("fresh", Instant::now())] {
            let ran = ran.clone();
            let job: Job = Box::new(move |_| ran.send(name).unwrap());
            queue.try_send(Queued { job, since }).ok().unwrap();
        }
        drop((queue, ran));
        worker.run(&jobs);
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["fresh"]);
    }
}
