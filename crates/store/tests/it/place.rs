//! Where a test's database is.

use attesto_store::DatabaseUrl;
use tempfile::TempDir;

use crate::{postgres, sqlite};

/// A place for one database, which goes away with it.
pub(crate) enum Place {
    Folder(TempDir),
    Postgres(postgres::Named),
}

impl Place {
    /// On what the tests are run on.
    pub(crate) fn new() -> Self {
        match std::env::var("ATTESTO_TEST_ON").as_deref() {
            Ok("postgres") => Self::Postgres(postgres::Named::new()),
            Ok("sqlite") | Err(_) => Self::folder(),
            Ok(other) => panic!("ATTESTO_TEST_ON: {other} is neither sqlite nor postgres"),
        }
    }

    /// For a file.
    pub(crate) fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        match self {
            Self::Folder(folder) => sqlite::file::url_in(folder.path()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Changes the database behind the store's back, constraints or not.
    pub(crate) fn tamper(&self, sql: &str) {
        match self {
            Self::Folder(_) => sqlite::file::tamper(&self.url(), sql),
            Self::Postgres(database) => database.tamper(sql),
        }
    }

    /// Has commits of the feed's records take their time, in an order that nobody foresees. A file has one at a time.
    pub(crate) fn delay_records(&self) {
        match self {
            Self::Folder(_) => {}
            Self::Postgres(database) => database.delay_records(),
        }
    }

    pub(crate) fn rows(&self, table: &str) -> Vec<String> {
        match self {
            Self::Folder(_) => sqlite::file::rows(&self.url(), table),
            Self::Postgres(database) => database.rows(table),
        }
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        match self {
            Self::Folder(_) => sqlite::file::tables(&self.url()),
            Self::Postgres(database) => database.tables(),
        }
    }
}
