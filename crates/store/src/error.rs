use std::path::PathBuf;

use crate::url::DatabaseUrl;

/// A read or a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's own error.
    #[error("the database refused: {0}")]
    Database(#[from] diesel::result::Error),
    /// No connection became free in time, or none could be opened.
    #[error("no database connection: {0}")]
    Connection(String),
    /// More wait for the database than it serves in time.
    #[error("too many wait for the database, or it does not answer in time")]
    Overloaded,
    /// The closure panicked, the write waited too long for its turn, or the thread that writes is gone.
    #[error("the write was abandoned")]
    Abandoned,
    /// The changes were made, and not committed; if the connection broke just then, nobody knows.
    #[error("the database did not commit: {0}")]
    NotCommitted(String),
    /// A row contradicts itself: it was not written by this program.
    #[error("the row {row:?} of {table} has an impossible {column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Its primary key.
        row: String,
    },
    /// Migrations could not be read or run.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(String),
}

/// A database could not be copied. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file already.
    #[error("{} exists already; it is left as it is", .0.display())]
    Exists(PathBuf),
    /// The copy cannot be written.
    #[error("cannot write {}: {cause}", .path.display())]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The database itself cannot be read to its end.
    #[error("{} is damaged ({cause}); docs/operations/backup.md says how an earlier copy is put back", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// In the words of SQLite.
        cause: String,
    },
    /// It is no file.
    #[error("{0} is copied by pg_dump; see docs/operations/backup.md")]
    OfAServer(DatabaseUrl),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The task was cancelled.
    #[error("the copy was abandoned")]
    Abandoned,
}

/// A copy could not be put in the place of a database. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is no file.
    #[error("{0} is filled by pg_restore; `attesto restore` without a file then does the rest")]
    OfAServer(DatabaseUrl),
    /// The database, its lock or the copy cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no file of that name.
    #[error("there is no such copy: {}", .0.display())]
    NoCopy(PathBuf),
    /// It cannot be read to its end.
    #[error("the copy {} is damaged ({cause}); take another one", .path.display())]
    DamagedCopy {
        /// The copy.
        path: PathBuf,
        /// In the words of SQLite.
        cause: String,
    },
    /// The copy cannot be taken in.
    #[error(transparent)]
    Copy(BackupError),
    /// It is what an interrupted restore has left.
    #[error("{} is what a restore left that was interrupted; restore the copy itself, or give this one another name first", .0.display())]
    Unfinished(PathBuf),
    /// A file cannot get the name, the owner or the mode that it needs.
    #[error("cannot put {} in its place: {cause}", .path.display())]
    Unmovable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
}

impl From<BackupError> for RestoreError {
    /// Of a restore, the copy is the database that is copied.
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Damaged { path, cause } => Self::DamagedCopy { path, cause },
            other => Self::Copy(other),
        }
    }
}

/// A database could not be opened. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file, or there are no tables.
    #[error("there is no database at {0}; `attesto init` makes one")]
    Absent(DatabaseUrl),
    /// There is one already.
    #[error("there is a database at {0} already; it is left as it is")]
    Exists(DatabaseUrl),
    /// It cannot be created or opened.
    #[error("cannot open {url}: {cause}")]
    Unreachable {
        /// Which database.
        url: DatabaseUrl,
        /// Why not.
        cause: String,
    },
    /// A SQLite file without our tables, or no SQLite file at all.
    #[error("{0} is not a database of Attesto")]
    Foreign(DatabaseUrl),
    /// A newer program has changed the schema.
    #[error("{url} needs Attesto {needed} or newer, and this is {this}; nothing was changed")]
    BinaryTooOld {
        /// Which database.
        url: DatabaseUrl,
        /// What its schema states.
        needed: String,
        /// This program's version.
        this: &'static str,
    },
    /// This program has migrations that the database has not.
    #[error("the schema of {0} is older than this program; `attesto migrate` brings it up to date")]
    SchemaTooOld(DatabaseUrl),
    /// Another server holds the lock.
    #[error("another server is using this database ({} is locked)", .0.display())]
    InUse(PathBuf),
    /// A first query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    pub(crate) fn unreachable(url: impl Into<DatabaseUrl>, cause: &impl ToString) -> Self {
        Self::Unreachable { url: url.into(), cause: cause.to_string() }
    }
}
