use std::fs::{self, OpenOptions};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::result::Error;
use diesel::{Connection, SqliteConnection};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::connection::{self, Readers};
use crate::error::{OpenError, StoreError};
use crate::migration;
use crate::url::DatabaseUrl;
use crate::writer::{Job, Writer};

/// The database. Cheap to clone; all clones share one writer thread and one pool of readers.
#[derive(Clone)]
pub struct Store {
    url: Arc<DatabaseUrl>,
    readers: Readers,
    writer: Arc<Writer>,
}

/// A transaction that reads one consistent state.
pub struct Read<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
}

/// A transaction that writes: all of it or nothing.
pub struct Write<'a>(Read<'a>);

impl Store {
    /// Makes a new database, readable by its owner only, with the present schema. An empty one, as an interrupted start
    /// leaves it, is filled. Needs a tokio runtime from here on.
    pub async fn create(url: &DatabaseUrl) -> Result<Self, OpenError> {
        create_file(url)?;
        if !connection::plain(url).is_ok_and(|mut connection| migration::is_blank(&mut connection, url)) {
            return Err(OpenError::Exists(url.clone()));
        }
        hide_file(url)?;
        let store = Self::connect(url)?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that exists and that this program can work on. Changes nothing; its schema may be older than
    /// this program ([`Self::migrate`], [`Self::require_current`]).
    pub fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let mut connection = connection::plain(url)?;
        migration::check_requirement(&mut connection, url)?;
        connection::require_writable(&mut connection, url)?;
        Self::connect(url)
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.submit(migration::run).await
    }

    /// Refuses an older schema, for the commands that never change it.
    pub async fn require_current(&self) -> Result<(), OpenError> {
        if self.submit(migration::is_pending).await? {
            return Err(OpenError::SchemaTooOld((*self.url).clone()));
        }
        Ok(())
    }

    /// Folds the write-ahead log into the database file, so that the file alone holds everything: for a server that
    /// stops.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.submit(|connection| Ok(connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)).await
    }

    /// Runs `queries` in one read transaction, off the async threads.
    pub async fn read<T, F>(&self, queries: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let reading = spawn_blocking(move || {
            let mut connection = readers.get().map_err(|cause| StoreError::Connection(cause.to_string()))?;
            connection.transaction(|connection| queries(&mut Read { connection }))
        });
        reading.await.map_err(|_| StoreError::Abandoned)?
    }

    /// Runs `changes` in one write transaction on the writer thread, durable when it returns. `changes` touches
    /// nothing outside the database and may run twice.
    pub async fn write<T, F>(&self, changes: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit(move |connection| {
            let mut cause = None;
            let written = connection.immediate_transaction(|connection| {
                changes(&mut Write(Read { connection })).map_err(|refused| {
                    cause = Some(refused);
                    Error::RollbackTransaction
                })
            });
            // A full disk can roll back by itself. The rollback that follows then fails, and its error explains nothing.
            written.map_err(|refused| cause.unwrap_or(refused.into()))
        })
        .await
    }

    fn connect(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let writer = Arc::new(Writer::start(url)?);
        Ok(Self { url: Arc::new(url.clone()), readers: connection::readers(url)?, writer })
    }

    async fn submit<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody listens any more if the caller hung up; what was committed stays committed.
            let _ = answer.send(job(connection));
        });
        self.writer.submit(job)?;
        answered.await.map_err(|_| StoreError::Abandoned)?
    }
}

impl<'a> Deref for Write<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.0
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// An existing file stays as it is.
fn create_file(url: &DatabaseUrl) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(url.path()) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(connection::unreachable(url, &cause)),
    }
}

/// An empty file that somebody else made may be readable by all.
fn hide_file(url: &DatabaseUrl) -> Result<(), OpenError> {
    #[cfg(unix)]
    fs::set_permissions(url.path(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|cause| connection::unreachable(url, &cause))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use attesto_core::{Actor, AuditEvent, Event, Instant};
    use diesel::RunQueryDsl;
    use diesel::connection::SimpleConnection;

    use super::*;

    #[tokio::test]
    async fn a_read_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse("sqlite:a.db", folder.path()).unwrap();
        let store = Store::create(&url).await.unwrap();
        let written = store.read(|read| {
            let change = diesel::sql_query("UPDATE revocation_counter SET seq = 7");
            Ok(change.execute(read.connection)?)
        });
        let refused = written.await.unwrap_err().to_string();
        assert!(refused.contains("readonly"), "{refused}");
    }

    #[tokio::test]
    async fn a_full_disk_fails_one_write_and_not_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse("sqlite:a.db", folder.path()).unwrap();
        let store = Store::create(&url).await.unwrap();
        let limit = |pages: u32| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            store.submit(move |connection| Ok(connection.batch_execute(&pragma)?))
        };
        let event = AuditEvent::new(Event::Initialised, Actor::Server, Instant::from_millis(0));
        let long = event.clone().note(&"x".repeat(100_000));

        limit(200).await.unwrap();
        let failed = store.write(move |write| (0..100).try_for_each(|_| write.record(&long))).await;
        assert!(failed.unwrap_err().to_string().contains("full"));
        limit(u32::MAX).await.unwrap();
        store.write(move |write| write.record(&event)).await.unwrap();
        assert_eq!(store.read(|read| read.list_audit_events(10)).await.unwrap().len(), 1);
    }
}
