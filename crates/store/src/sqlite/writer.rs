use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use tokio::sync::oneshot;

use super::arrivals::{Arrivals, Expected};
use super::checkpoints::Log;
use super::command::{BeginImmediate, Commit, Release, Rollback, RollbackToSavepoint, Savepoint};
use super::connection;
use crate::connection::AnyConnection;
use crate::error::{OpenError, StoreError};
use crate::figures::{Commits, Figures};
use crate::store::Write;
use crate::url::SqliteUrl;

/// How many writes may wait for those that run; beyond that the answer is "overloaded" at once.
const QUEUE: usize = 1024;

/// How many writes become durable together: one wait for the disk for all of them.
const GROUP: usize = 64;

/// A write that has waited this long behind others is dropped instead of run: whoever asked for it was promised an
/// answer, and a queue behind a stuck database must not grow into minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// So long, at most, a write waits for others to become durable with.
const COMPANY: Duration = Duration::from_millis(12);

/// The one thread of this process that writes. Dropping it waits for what is queued and closes the connection.
pub(crate) struct Writer {
    /// Always there, until it is dropped.
    queue: Option<SyncSender<Queued>>,
    thread: Option<JoinHandle<()>>,
    figures: Arc<Activity>,
}

/// What queue and worker tell of themselves.
struct Activity {
    arrivals: Arrivals,
    commits: Commits,
}

struct Queued {
    job: Job,
    since: Instant,
}

enum Job {
    Change(Box<dyn Grouped>),
    Alone(Box<dyn FnOnce(&mut AnyConnection) + Send>),
}

/// Changes that are committed together with those of others.
trait Grouped: Send {
    /// Makes the changes; says whether they may stay.
    fn make(&mut self, connection: &mut AnyConnection) -> bool;

    /// Tells who asked for them how they ended, now that the group is or is not on the disk.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

/// The changes of one caller, and where the answer goes.
pub(crate) struct Change<T, F> {
    changes: F,
    made: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Change<T, F> {
    pub(crate) fn new(changes: F, answer: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { changes, made: None, answer }
    }
}

impl<T, F> Grouped for Change<T, F>
where
    T: Send,
    F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send,
{
    fn make(&mut self, connection: &mut AnyConnection) -> bool {
        // Nothing is left of an earlier time, should it panic.
        self.made = None;
        let made = (self.changes)(&mut Write::on(connection, Duration::ZERO));
        self.made.insert(made).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let outcome = match (self.made, committed) {
            (Some(Ok(_)) | None, Err(cause)) => Err(StoreError::NotCommitted(cause.to_owned())),
            (Some(made), _) => made,
            // It panicked, and the panic is in the log.
            (None, Ok(())) => Err(StoreError::Abandoned),
        };
        // Nobody listens any more if the caller hung up; what was committed stays committed.
        let _ = self.answer.send(outcome);
    }
}

impl Writer {
    pub(crate) fn start(url: &SqliteUrl, log: Arc<Log>) -> Result<Self, OpenError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let figures = Arc::new(Activity::new());
        let worker = Worker {
            url: url.clone(),
            connection: connection::writer(url)?,
            figures: Arc::clone(&figures),
            log,
        };
        let thread = thread::Builder::new()
            .name("attesto-writer".to_owned())
            .spawn(move || worker.run(&jobs))
            .map_err(|cause| OpenError::unreachable(url, &cause))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), figures })
    }

    /// Queues changes behind those that wait.
    pub(crate) fn submit<T, F>(&self, change: Change<T, F>) -> Result<(), StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.queue(Job::Change(Box::new(change)))
    }

    /// Queues what cannot run within a transaction.
    pub(crate) fn submit_alone(
        &self,
        job: impl FnOnce(&mut AnyConnection) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.queue(Job::Alone(Box::new(job)))
    }

    fn queue(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Abandoned)?;
        // Before it can be taken out again.
        let arrivals = &self.figures.arrivals;
        arrivals.add();
        queue.try_send(Queued { job, since: Instant::now() }).map_err(|refused| {
            arrivals.remove();
            match refused {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Abandoned,
            }
        })
    }

    /// One write more is about to come.
    pub(crate) fn expect(&self) -> Expected<'_> {
        self.figures.arrivals.expect()
    }

    pub(crate) fn figures(&self) -> Figures {
        self.figures.commits.figures(self.figures.arrivals.waiting())
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

impl Activity {
    fn new() -> Self {
        Self { arrivals: Arrivals::new(), commits: Commits::new() }
    }
}

struct Worker {
    url: SqliteUrl,
    connection: AnyConnection,
    figures: Arc<Activity>,
    log: Arc<Log>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Queued>) {
        while let Ok(first) = jobs.recv() {
            self.figures.arrivals.linger(COMPANY, first.since);
            let waiting = std::iter::once(first).chain(jobs.try_iter()).take(GROUP);
            let mut group = Vec::new();
            for Queued { job, since } in waiting {
                self.figures.arrivals.remove();
                match job {
                    _ if since.elapsed() > LONGEST_WAIT => {}
                    Job::Change(change) => group.push(change),
                    Job::Alone(job) => {
                        self.commit(std::mem::take(&mut group));
                        self.run_alone(job);
                    }
                }
            }
            self.commit(group);
            self.log.finish(&mut self.connection);
        }
    }

    fn run_alone(&mut self, job: Box<dyn FnOnce(&mut AnyConnection) + Send>) {
        if catch_unwind(AssertUnwindSafe(|| job(&mut self.connection))).is_err() {
            self.reconnect();
        }
    }

    /// All of a group become durable, each that may stay, and only then is anybody answered.
    fn commit(&mut self, mut group: Vec<Box<dyn Grouped>>) {
        if group.is_empty() {
            return;
        }
        let begun = Instant::now();
        let committed = self.try_commit(&mut group).map_err(|cause| cause.to_string());
        match &committed {
            Ok(()) => {
                self.figures.commits.count(group.len(), begun.elapsed());
                self.log.add();
            }
            Err(_) => self.reconnect(),
        }
        for change in group {
            change.answer(committed.as_ref().copied().map_err(String::as_str));
        }
    }

    /// Hardly ever is a change refused. So all are made at once, and only if one may not stay are they made anew, each by
    /// itself: a savepoint for each costs as much as the change.
    fn try_commit(&mut self, group: &mut [Box<dyn Grouped>]) -> QueryResult<()> {
        BeginImmediate.run(&mut self.connection)?;
        if !group.iter_mut().all(|change| self.make(change.as_mut())) {
            // A full disk may have ended the transaction: then this fails, and nothing more is run outside of one.
            Rollback.run(&mut self.connection)?;
            BeginImmediate.run(&mut self.connection)?;
            group.iter_mut().try_for_each(|change| self.make_apart(change.as_mut()))?;
        }
        Commit.run(&mut self.connection)
    }

    /// One refusal takes nothing from the others.
    fn make_apart(&mut self, change: &mut dyn Grouped) -> QueryResult<()> {
        Savepoint.run(&mut self.connection)?;
        if !self.make(change) {
            // Nor is there a savepoint left on a full disk.
            RollbackToSavepoint.run(&mut self.connection)?;
        }
        Release.run(&mut self.connection)
    }

    fn make(&mut self, change: &mut dyn Grouped) -> bool {
        catch_unwind(AssertUnwindSafe(|| change.make(&mut self.connection))).unwrap_or(false)
    }

    /// Whatever of a transaction is left goes with the connection. On failure the old one stays, without it, and the next
    /// group tries again.
    fn reconnect(&mut self) {
        match connection::writer(&self.url) {
            Ok(connection) => self.connection = connection,
            Err(cause) => {
                tracing::error!(%cause, "the writer could not reconnect");
                // Fails where nothing is left.
                let _ = Rollback.run(&mut self.connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::file::blank_file;
    use super::*;

    #[tokio::test]
    async fn a_write_waits_for_those_that_are_expected() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::start(&blank_file(folder.path()), Arc::default()).unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        let _expected: Vec<_> = (0..=cores).map(|_| writer.expect()).collect();
        let (answer, answered) = oneshot::channel();
        let begun = Instant::now();
        writer.submit(Change::new(|_: &mut Write<'_>| Ok(()), answer)).unwrap();
        answered.await.unwrap().unwrap();
        assert!(begun.elapsed() >= COMPANY);
    }

    #[test]
    fn a_write_that_waited_too_long_is_dropped_and_the_next_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let url = blank_file(folder.path());
        let figures = Arc::new(Activity::new());
        (0..2).for_each(|_| figures.arrivals.add());
        let worker = Worker {
            url: url.clone(),
            connection: connection::writer(&url).unwrap(),
            figures: Arc::clone(&figures),
            log: Arc::default(),
        };
        let (queue, jobs) = sync_channel(QUEUE);
        let (ran, outcomes) = channel();
        let long_ago = Instant::now().checked_sub(LONGEST_WAIT + Duration::from_secs(1)).unwrap();
        for (name, since) in [("stale", long_ago), ("fresh", Instant::now())] {
            let ran = ran.clone();
            let job = Job::Alone(Box::new(move |_| ran.send(name).unwrap()));
            queue.try_send(Queued { job, since }).ok().unwrap();
        }
        drop((queue, ran));
        worker.run(&jobs);
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["fresh"]);
        assert_eq!(figures.arrivals.waiting(), 0);
    }
}
