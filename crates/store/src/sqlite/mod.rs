//! SQLite: one file, one thread that writes, and readers beside it.

mod arrivals;
mod backup;
mod checkpoints;
mod command;
mod connection;
mod file;
mod owner;
mod read;
mod restore;
mod server_lock;
mod writer;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::connection::AnyConnection;
use crate::error::{OpenError, StoreError};
use crate::figures::Figures;
use crate::migration;
use crate::pool::Connections;
use crate::store::{Read, Write};
use crate::url::SqliteUrl;

pub(crate) use arrivals::Expected;
pub(crate) use backup::back_up;
use checkpoints::{Checkpoints, Log};
pub use restore::{Restoration, Restored};
pub use server_lock::ServerLock;
use writer::{Change, Writer};

pub(crate) struct Sqlite {
    readers: Connections,
    writer: Writer,
    /// Closed after the others, and who closes the file last copies the rest of its write-ahead log into it.
    _checkpoints: Checkpoints,
}

impl Sqlite {
    /// Makes an empty file, or takes one as an interrupted start leaves it.
    pub(crate) fn create(url: &SqliteUrl) -> Result<Self, OpenError> {
        file::create_file(url)?;
        if !connection::plain(url).is_ok_and(|mut connection| migration::is_blank_file(&mut connection, url))
        {
            return Err(OpenError::Exists(url.into()));
        }
        file::hide_file(url)?;
        Self::connect(url)
    }

    /// Opens a file that is a database of ours.
    pub(crate) fn open(url: &SqliteUrl) -> Result<Self, OpenError> {
        let mut connection = connection::plain(url)?;
        if migration::is_blank_file(&mut connection, url) {
            return Err(OpenError::Absent(url.into()));
        }
        migration::check_requirement(&mut connection, &url.into())?;
        connection::require_writable(&mut connection, url)?;
        Self::connect(url)
    }

    fn connect(url: &SqliteUrl) -> Result<Self, OpenError> {
        let log = Arc::new(Log::default());
        let writer = Writer::start(url, Arc::clone(&log))?;
        let readers = connection::readers(url)?;
        Ok(Self { readers, writer, _checkpoints: Checkpoints::start(url, log)? })
    }

    pub(crate) async fn read<T, F>(&self, queries: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let reading = spawn_blocking(move || {
            let mut connection = readers.get().map_err(|cause| StoreError::Connection(cause.to_string()))?;
            read::consistently(&mut connection, queries)
        });
        reading.await.map_err(|_| StoreError::Abandoned)?
    }

    /// Reads on this very thread, if a connection is free: a few rows are found in less time than it takes to wake another
    /// thread up. One query sees one state by itself.
    pub(crate) async fn find<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match self.readers.try_get() {
            Some(mut connection) => query(&mut Read { connection: &mut connection }),
            None => self.read(query).await,
        }
    }

    /// Commits `changes` together with those of others that wait as well.
    pub(crate) async fn write<T, F>(
        &self,
        changes: F,
        expected: Option<Expected<'_>>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Change::new(changes, answer))?;
        drop(expected);
        answered.await.map_err(|_| StoreError::Abandoned)?
    }

    pub(crate) fn expect_write(&self) -> Expected<'_> {
        self.writer.expect()
    }

    /// Runs a job on the connection that writes, in no transaction.
    pub(crate) async fn alone<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.submit_alone(move |connection| {
            // Nobody listens any more if the caller hung up; what was done stays done.
            let _ = answer.send(job(connection));
        })?;
        answered.await.map_err(|_| StoreError::Abandoned)?
    }

    pub(crate) fn figures(&self) -> Figures {
        self.writer.figures()
    }

    /// Folds the write-ahead log into the database file.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.alone(checkpoints::empty).await
    }
}
