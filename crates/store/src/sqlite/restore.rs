use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::backup::{back_up, sync_folder_of};
use super::connection;
use super::server_lock::{ServerLock, real_path};
use crate::error::{OpenError, RestoreError};
use crate::migration;
use crate::url::{DatabaseUrl, SqliteUrl};

/// What SQLite keeps beside a file while it is open, and after a crash.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// A copy that is to take the place of a database which is a file. Until then it stands beside it as a database of its own,
/// and is gone if nothing comes of it. No server can start meanwhile.
pub struct Restoration {
    database: SqliteUrl,
    candidate: Candidate,
    lock: ServerLock,
}

/// A copy is in its place. No server can start before this is dropped.
pub struct Restored {
    /// Where the database is now that was there before, if there was one.
    pub replaced: Option<PathBuf>,
    _lock: ServerLock,
}

struct Candidate(SqliteUrl);

impl Restoration {
    /// Takes a copy in, which stays as it is: a whole database of ours that this program can work on.
    pub fn begin(database: &DatabaseUrl, copy: &Path) -> Result<Self, RestoreError> {
        let DatabaseUrl::Sqlite(url) = database else {
            return Err(RestoreError::OfAServer(database.clone()));
        };
        let lock = ServerLock::acquire(database)?;
        let path = real_path(url.path()).map_err(|cause| OpenError::unreachable(url, &cause))?;
        let database = SqliteUrl::of(path);
        let candidate = Candidate(SqliteUrl::of(database.beside(".restoring")));
        // Of a restore that was interrupted.
        candidate.remove();
        let copy = SqliteUrl::of(copy.to_owned());
        require_ours(&copy)?;
        back_up(&copy, candidate.0.path())?;
        Ok(Self { database, candidate, lock })
    }

    /// The copy, to be opened and changed.
    pub fn candidate(&self) -> DatabaseUrl {
        (&self.candidate.0).into()
    }

    /// Puts the copy in the place of the database, which is kept under its own name and `end`. By now nobody has either of them
    /// open, and the copy's write-ahead log is folded into it.
    pub fn finish(self, end: &str) -> Result<Restored, RestoreError> {
        let replaced = self.make_room(end)?;
        rename(self.candidate.0.path(), self.database.path())?;
        sync_folder_of(self.database.path()).map_err(|cause| unmovable(self.database.path(), &cause))?;
        Ok(Restored { replaced, _lock: self.lock })
    }

    /// A write-ahead log belongs to the file that it lies beside: left there, it would be folded into the copy.
    fn make_room(&self, end: &str) -> Result<Option<PathBuf>, RestoreError> {
        let kept = SqliteUrl::of(self.database.beside(end));
        let was_there = rename(self.database.path(), kept.path())?;
        for companion in COMPANIONS {
            rename(&self.database.beside(companion), &kept.beside(companion))?;
        }
        Ok(was_there.then(|| kept.path().to_owned()))
    }
}

impl Candidate {
    fn remove(&self) {
        let companions = COMPANIONS.map(|end| self.0.beside(end));
        for file in companions.iter().map(PathBuf::as_path).chain([self.0.path()]) {
            // If it is there and stays, whoever needs its name says so.
            let _ = fs::remove_file(file);
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.remove();
    }
}

fn require_ours(copy: &SqliteUrl) -> Result<(), OpenError> {
    let mut connection = connection::plain(copy)?;
    if migration::is_blank_file(&mut connection, copy) {
        return Err(OpenError::Foreign(copy.into()));
    }
    migration::check_requirement(&mut connection, &copy.into())
}

/// Says whether there was something to rename.
fn rename(from: &Path, to: &Path) -> Result<bool, RestoreError> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(unmovable(from, &cause)),
    }
}

fn unmovable(path: &Path, cause: &io::Error) -> RestoreError {
    RestoreError::Unmovable { path: path.to_owned(), cause: cause.to_string() }
}
