use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use attesto_core::Instant;
use diesel::RunQueryDsl as _;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use tokio::task::spawn_blocking;

use crate::connection::AnyConnection;
use crate::error::{BackupError, OpenError, StoreError};
use crate::figures::Figures;
use crate::migration;
use crate::postgres::Postgres;
use crate::session::Moved;
use crate::sqlite::{Expected, Sqlite, back_up};
use crate::url::DatabaseUrl;

/// The database. Cheap to clone; all clones share its connections.
#[derive(Clone)]
pub struct Store {
    url: Arc<DatabaseUrl>,
    backend: Arc<Backend>,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A write that will follow.
pub struct ExpectedWrite<'a>(Option<Expected<'a>>);

/// What reads. All queries of a transaction see the same state.
pub struct Read<'a> {
    pub(crate) connection: &'a mut AnyConnection,
}

/// A transaction that writes: all of it or nothing.
pub struct Write<'a> {
    read: Read<'a>,
    /// How long it has waited for others, attempts that were in vain included.
    pub(crate) waited: Duration,
}

/// One statement that moves a session on, alone or of a transaction that writes.
pub struct Change<'a> {
    pub(crate) connection: &'a mut AnyConnection,
}

impl Store {
    /// Makes a new database with the present schema: a file, readable by its owner only, or the tables in a PostgreSQL
    /// database that has none. An empty one, as an interrupted start leaves it, is filled. Needs a tokio runtime from
    /// here on.
    pub async fn create(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let backend = match url {
            DatabaseUrl::Sqlite(url) => Backend::Sqlite(Sqlite::create(url)?),
            DatabaseUrl::Postgres(url) => Backend::Postgres(Postgres::create(url)?),
        };
        let store = Self::new(url, backend);
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that exists and that this program can work on. Changes nothing; its schema may be older than
    /// this program ([`Self::migrate`], [`Self::require_current`]).
    pub fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let backend = match url {
            DatabaseUrl::Sqlite(url) => Backend::Sqlite(Sqlite::open(url)?),
            DatabaseUrl::Postgres(url) => Backend::Postgres(Postgres::open(url)?),
        };
        Ok(Self::new(url, backend))
    }

    /// Brings the schema up to date; gives the numbers of the migrations that were missing.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.alone(migration::run).await,
            Backend::Postgres(postgres) => postgres.migrate().await,
        }
    }

    /// Has the schema up to date for a server that starts. A file has no other server; other servers of a PostgreSQL
    /// database may not know a newer schema yet, so that there it is the operator's to say when.
    pub async fn prepare(&self) -> Result<(), OpenError> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(self.migrate().await.map(drop)?),
            Backend::Postgres(_) => self.require_current().await,
        }
    }

    /// Refuses an older schema, for the commands that never change it.
    pub async fn require_current(&self) -> Result<(), OpenError> {
        let is_pending = match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.alone(migration::is_pending).await?,
            Backend::Postgres(postgres) => postgres.is_pending().await?,
        };
        if is_pending {
            return Err(OpenError::SchemaTooOld((*self.url).clone()));
        }
        Ok(())
    }

    /// Copies a database that is a file to another file, which must not be there yet, while servers go on.
    pub async fn back_up(&self, file: &Path) -> Result<(), BackupError> {
        let DatabaseUrl::Sqlite(url) = (*self.url).clone() else {
            return Err(BackupError::OfAServer((*self.url).clone()));
        };
        let file = file.to_owned();
        spawn_blocking(move || back_up(&url, &file)).await.map_err(|_| BackupError::Abandoned)?
    }

    /// For a server that stops: folds the write-ahead log of SQLite into the database file, so that the file alone holds
    /// everything.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.checkpoint().await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// What time it is for a database that has a clock of its own, which its servers go by; `None` for a file.
    pub async fn now(&self) -> Result<Option<Instant>, StoreError> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(postgres) => postgres.now().await.map(Some),
        }
    }

    /// The program that keeps the data, its version, and whether a pooler stands before it.
    pub async fn version(&self) -> Result<String, StoreError> {
        let (name, query, behind) = match &*self.backend {
            Backend::Sqlite(_) => ("SQLite", "sqlite_version()", ""),
            Backend::Postgres(postgres) => {
                let behind = if postgres.is_direct() { "" } else { ", as if behind a pooler" };
                ("PostgreSQL", "current_setting('server_version')", behind)
            }
        };
        let version: String =
            self.read(move |tx| Ok(diesel::select(sql::<Text>(query)).get_result(tx.connection)?)).await?;
        Ok(format!("{name} {version}{behind}"))
    }

    /// Runs `queries` in one read transaction, off the async threads.
    pub async fn read<T, F>(&self, queries: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(queries).await,
            Backend::Postgres(postgres) => postgres.read(queries).await,
        }
    }

    /// The same for one query that finds a few rows by their keys, and is over at once: without a transaction around it and, where
    /// the database is a file, on the calling thread. Where connections break, it may run again.
    pub async fn find<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.find(query).await,
            Backend::Postgres(postgres) => postgres.find(query).await,
        }
    }

    /// Runs `changes` in one write transaction, durable when it returns. `changes` touches nothing outside the database
    /// and may run twice.
    pub async fn write<T, F>(&self, changes: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_expected(&mut ExpectedWrite(None), changes).await
    }

    /// Says that a write will follow, for as long as what comes back is held: where one thread writes for all, those that are
    /// ready before wait a moment for it, and all become durable together.
    pub fn expect_write(&self) -> ExpectedWrite<'_> {
        ExpectedWrite(match &*self.backend {
            Backend::Sqlite(sqlite) => Some(sqlite.expect_write()),
            Backend::Postgres(_) => None,
        })
    }

    /// The same as [`write`](Self::write) for the write that was expected. Another one with the same expectation is one that
    /// was not.
    pub async fn write_expected<T, F>(
        &self,
        expected: &mut ExpectedWrite<'_>,
        changes: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(changes, expected.0.take()).await,
            Backend::Postgres(postgres) => postgres.write(changes).await,
        }
    }

    /// Runs one statement that moves a session on, durable when it returns, for the write that was expected. On PostgreSQL it is a
    /// transaction by itself, unless a pooler stands in between.
    pub async fn change<F>(&self, expected: &mut ExpectedWrite<'_>, change: F) -> Result<Moved, StoreError>
    where
        F: Fn(Change<'_>) -> Result<Moved, StoreError> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite.write(move |write| change(write.change()), expected.0.take()).await
            }
            Backend::Postgres(postgres) => postgres.change(change).await,
        }
    }

    /// What it does for this process, in figures. Asks the database nothing.
    pub fn figures(&self) -> Figures {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.figures(),
            Backend::Postgres(postgres) => postgres.figures(),
        }
    }

    fn new(url: &DatabaseUrl, backend: Backend) -> Self {
        Self { url: Arc::new(url.clone()), backend: Arc::new(backend) }
    }
}

impl<'a> Write<'a> {
    /// After what was waited in vain before.
    pub(crate) fn on(connection: &'a mut AnyConnection, waited: Duration) -> Self {
        Self { read: Read { connection }, waited }
    }

    /// Its next statement.
    pub fn change(&mut self) -> Change<'_> {
        Change { connection: self.connection }
    }
}

impl<'a> Deref for Write<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.read
    }
}

#[cfg(test)]
mod tests {
    use attesto_core::{Actor, AuditEvent, AuditFilter, Event, Instant};
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
        let Backend::Sqlite(sqlite) = &*store.backend else { panic!() };
        let limit = |pages: u32| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            sqlite.alone(move |connection| Ok(connection.batch_execute(&pragma)?))
        };
        let event = AuditEvent::new(Event::Initialised, Actor::Server, Instant::from_millis(0));
        let long = event.clone().note(&"x".repeat(100_000));

        limit(200).await.unwrap();
        let failed = store.write(move |write| (0..100).try_for_each(|_| write.record(&long))).await;
        assert!(failed.unwrap_err().to_string().contains("full"));
        limit(u32::MAX).await.unwrap();
        store.write(move |write| write.record(&event)).await.unwrap();
        assert_eq!(
            store.read(|read| read.list_audit_events(&AuditFilter::default(), 10)).await.unwrap().len(),
            1
        );
    }
}
