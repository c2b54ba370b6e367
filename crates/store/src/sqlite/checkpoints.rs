//! The write-ahead log gets into the database file beside the thread that writes, which everybody waits for.
//!
//! SQLite copies pages without disturbing anybody (`PASSIVE`). But the log begins anew only if a write finds all of it
//! copied, and only a checkpoint that ends before anything new is written has the file on the disk. So while there is
//! always something new, a long log is copied several times in a row, each time less of it, until the writer has next to
//! nothing to do when it copies the rest.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::sql_types::Integer;
use diesel::{QueryResult, RunQueryDsl as _};

use super::connection;
use crate::connection::{AnyConnection, on_either};
use crate::error::{OpenError, StoreError};
use crate::url::SqliteUrl;

/// So often, while something is written. The longer, the more pages at once, and whoever is answered meanwhile waits for
/// them: on one core, and on the disk.
const INTERVAL: Duration = Duration::from_millis(25);

/// A log of so many pages is to begin anew.
const LONG: i32 = 2_000;

/// Nobody notices if the writer copies so many.
const FEW: i32 = 256;

/// How often in a row a long log is copied.
const TIMES: usize = 4;

/// A log that is still longer begins anew whatever it costs: the disk is slower than what is written.
const TOO_LONG: i32 = 16_000;

/// How long the end of all readers is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that does it. Dropping it waits for what it is at.
pub(super) struct Checkpoints {
    log: Arc<Log>,
    /// Always there, until it is dropped.
    thread: Option<JoinHandle<()>>,
}

/// What the thread that writes and this one tell each other.
#[derive(Default)]
pub(super) struct Log {
    state: Mutex<State>,
    changed: Condvar,
    has_little: AtomicBool,
}

#[derive(Default)]
struct State {
    has_new: bool,
    is_closed: bool,
}

/// What became of a checkpoint.
struct Checkpoint {
    /// Somebody else was at it, or needs what is there.
    is_refused: bool,
    /// Of the log.
    pages: i32,
    /// Of these, since it began.
    copied: i32,
}

impl Checkpoints {
    pub(super) fn start(url: &SqliteUrl, log: Arc<Log>) -> Result<Self, OpenError> {
        let mut connection = connection::checkpointer(url)?;
        let watched = Arc::clone(&log);
        let thread = thread::Builder::new()
            .name("attesto-checkpoints".to_owned())
            .spawn(move || copy_until_closed(&mut connection, &watched))
            .map_err(|cause| OpenError::unreachable(url, &cause))?;
        Ok(Self { log, thread: Some(thread) })
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.log.close();
        if let Some(thread) = self.thread.take() {
            // There is nobody left to tell of its panic.
            let _ = thread.join();
        }
    }
}

impl Log {
    /// Something was committed.
    pub(super) fn add(&self) {
        // Not for every commit: the thread is about to look.
        if !mem::replace(&mut self.lock().has_new, true) {
            self.changed.notify_one();
        }
    }

    /// For the writer, between two writes: copies the rest, if there is little, so that the next write begins the log anew.
    pub(super) fn finish(&self, connection: &mut AnyConnection) {
        if self.has_little.swap(false, Ordering::Relaxed) {
            // Where this fails, it is asked for again.
            let _ = checkpoint(connection, "PASSIVE");
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for something new, and then for more of it. Says whether the database is still open.
    fn wait(&self) -> bool {
        let idle = |state: &mut State| !state.has_new && !state.is_closed;
        let state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let open = |state: &mut State| !state.is_closed;
        let waited = self.changed.wait_timeout_while(state, INTERVAL, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_new = false;
        !state.is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies all of the log and cuts it off, as soon as no reader needs what it replaces.
pub(super) fn empty(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let begun = Instant::now();
    while checkpoint(connection, "TRUNCATE")?.is_refused {
        if begun.elapsed() > PATIENCE {
            return Err(StoreError::Overloaded);
        }
        // SQLite waits for readers by itself, and not for another checkpoint.
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn copy_until_closed(connection: &mut AnyConnection, log: &Log) {
    let mut was_well = true;
    while log.wait() {
        let copied = copy(connection, log);
        match &copied {
            Ok(true) => {}
            Ok(false) => log.add(),
            Err(cause) => {
                log.add();
                if was_well {
                    tracing::warn!(%cause, "the write-ahead log grows: it cannot be copied into the database");
                }
            }
        }
        was_well = copied.is_ok();
    }
}

/// Says whether all is copied but what came meanwhile.
fn copy(connection: &mut AnyConnection, log: &Log) -> QueryResult<bool> {
    let mut before = 0;
    for time in 1..=TIMES {
        let Checkpoint { is_refused, pages, copied } = checkpoint(connection, "PASSIVE")?;
        if is_refused || copied < pages {
            return Ok(false);
        }
        if pages < LONG {
            break;
        }
        if copied - before < FEW || (time == TIMES && pages > TOO_LONG) {
            log.has_little.store(true, Ordering::Relaxed);
            break;
        }
        before = copied;
    }
    Ok(true)
}

fn checkpoint(connection: &mut AnyConnection, mode: &str) -> QueryResult<Checkpoint> {
    let pragma = sql::<(Integer, Integer, Integer)>(&format!("PRAGMA wal_checkpoint({mode})"));
    let row: (i32, i32, i32) = on_either!(connection, |connection| pragma.get_result(connection))?;
    let (refused, pages, copied) = row;
    Ok(Checkpoint { is_refused: refused != 0, pages, copied })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use diesel::connection::SimpleConnection as _;
    use tokio::sync::oneshot;

    use super::super::file::blank_file;
    use super::super::writer::{Change, Writer};
    use super::*;
    use crate::store::Write;

    #[tokio::test]
    async fn what_is_committed_gets_into_the_file_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let url = blank_file(folder.path());
        connection::writer(&url).unwrap().batch_execute("CREATE TABLE a (content BLOB)").unwrap();
        let length = || fs::metadata(url.path()).unwrap().len();
        let before = length();
        let log = Arc::new(Log::default());
        let writer = Writer::start(&url, Arc::clone(&log)).unwrap();
        let _checkpoints = Checkpoints::start(&url, log).unwrap();
        let (answer, answered) = oneshot::channel();
        let content = "INSERT INTO a VALUES (zeroblob(1000000))";
        let insert = move |write: &mut Write<'_>| Ok(write.connection.batch_execute(content)?);
        writer.submit(Change::new(insert, answer)).unwrap();
        answered.await.unwrap().unwrap();
        for _ in 0..300 {
            if length() > before + 900_000 {
                return;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        panic!("the file is as long as it was");
    }

    #[test]
    fn a_long_log_begins_anew_once_the_writer_has_copied_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut of = Connections::to(&blank_file(folder.path()));
        let log = Log::default();
        of.write(LONG);
        of.write(1);
        log.finish(&mut of.writer);
        of.write(1);
        assert!(of.pages() > LONG, "nobody asked for it");

        assert!(copy(&mut of.beside, &log).unwrap());
        // More than was in the log before anybody asked, and not copied.
        of.write(FEW);
        log.finish(&mut of.writer);
        of.write(1);
        assert!(of.pages() < FEW);
    }

    #[test]
    fn what_a_reader_needs_stays_for_later_and_is_not_left_to_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let url = blank_file(folder.path());
        let mut of = Connections::to(&url);
        let log = Log::default();
        of.write(1);
        let mut reader = connection::readers(&url).unwrap().get().unwrap();
        reader.batch_execute("BEGIN; SELECT * FROM a").unwrap();
        of.write(LONG);
        assert!(!copy(&mut of.beside, &log).unwrap());
        reader.batch_execute("COMMIT").unwrap();
        log.finish(&mut of.writer);
        of.write(1);
        assert!(of.pages() > LONG, "the writer copied it all");

        assert!(copy(&mut of.beside, &log).unwrap());
        assert!(log.has_little.load(Ordering::Relaxed));
    }

    #[test]
    fn who_empties_it_waits_for_readers() {
        let folder = tempfile::tempdir().unwrap();
        let url = blank_file(folder.path());
        let mut of = Connections::to(&url);
        of.write(LONG);
        let mut reader = connection::readers(&url).unwrap().get().unwrap();
        reader.batch_execute("BEGIN; SELECT * FROM a").unwrap();
        let ends = thread::spawn(move || {
            thread::sleep(INTERVAL);
            reader.batch_execute("COMMIT").unwrap();
        });
        empty(&mut of.writer).unwrap();
        ends.join().unwrap();
        assert_eq!(fs::metadata(url.path().with_extension("db-wal")).unwrap().len(), 0);
    }

    struct Connections {
        writer: AnyConnection,
        beside: AnyConnection,
    }

    impl Connections {
        fn to(url: &SqliteUrl) -> Self {
            let mut writer = connection::writer(url).unwrap();
            writer.batch_execute("CREATE TABLE a (content BLOB)").unwrap();
            Self { writer, beside: connection::checkpointer(url).unwrap() }
        }

        /// At least so many pages.
        fn write(&mut self, pages: i32) {
            let insert = format!("INSERT INTO a VALUES (zeroblob({pages} * 4096))");
            self.writer.batch_execute(&insert).unwrap();
        }

        /// Of the log, before they are copied.
        fn pages(&mut self) -> i32 {
            checkpoint(&mut self.beside, "PASSIVE").unwrap().pages
        }
    }
}
