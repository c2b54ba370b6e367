use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use super::backup::{back_up, is_damage, sync_folder_of};
use super::connection;
use super::owner::give_to_owner_of_folder;
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
        let (copy, unfinished) = (found(copy)?, database.beside(".restoring"));
        if copy.path() == unfinished {
            return Err(RestoreError::Unfinished(unfinished));
        }
        let candidate = Candidate(SqliteUrl::of(unfinished));
        // Of a restore that was interrupted.
        candidate.remove();
        require_ours(&copy).map_err(|error| of_copy(&copy, error))?;
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
        self.candidate.require_whole()?;
        self.dress_candidate()?;
        let replaced = self.make_room(end)?;
        if !rename(self.candidate.0.path(), self.database.path())? {
            return Err(OpenError::Absent(self.candidate()).into());
        }
        self.sync()?;
        Ok(Restored { replaced, _lock: self.lock })
    }

    /// Whoever could open the database can open the copy; if there was none, the owner of the folder.
    fn dress_candidate(&self) -> Result<(), RestoreError> {
        let path = self.candidate.0.path();
        let Ok(before) = fs::metadata(self.database.path()) else {
            give_to_owner_of_folder(path);
            return Ok(());
        };
        dress_like(&before, path).map_err(|cause| unmovable(path, &cause))
    }

    /// Gives the database another name. Where that is one file, there is one under its own name at every moment.
    fn make_room(&self, end: &str) -> Result<Option<PathBuf>, RestoreError> {
        let kept = SqliteUrl::of(self.database.beside(end));
        let is_one_file = COMPANIONS.iter().all(|end| is_empty(&self.database.beside(end)));
        if is_one_file && fs::hard_link(self.database.path(), kept.path()).is_ok() {
            return Ok(Some(kept.path().to_owned()));
        }
        let was_there = rename(self.database.path(), kept.path())?;
        // A write-ahead log belongs to the file that it lies beside: left there, it would be folded into the copy.
        for companion in COMPANIONS {
            rename(&self.database.beside(companion), &kept.beside(companion))?;
        }
        self.sync()?;
        Ok(was_there.then(|| kept.path().to_owned()))
    }

    fn sync(&self) -> Result<(), RestoreError> {
        let path = self.database.path();
        sync_folder_of(path).map_err(|cause| unmovable(path, &cause))
    }
}

impl Candidate {
    /// What is in a write-ahead log would not come along.
    fn require_whole(&self) -> Result<(), RestoreError> {
        let log = self.0.beside("-wal");
        if is_empty(&log) {
            Ok(())
        } else {
            Err(unmovable(self.0.path(), &format!("{} is not empty", log.display())))
        }
    }

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

fn dress_like(before: &Metadata, path: &Path) -> io::Result<()> {
    let now = fs::metadata(path)?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        lchown(path, Some(before.uid()), Some(before.gid()))?;
    }
    fs::set_permissions(path, before.permissions())
}

/// Where it really is, whatever links lead there.
fn found(copy: &Path) -> Result<SqliteUrl, RestoreError> {
    let path = copy.canonicalize().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => RestoreError::NoCopy(copy.to_owned()),
        _ => OpenError::unreachable(&SqliteUrl::of(copy.to_owned()), &cause).into(),
    })?;
    Ok(SqliteUrl::of(path))
}

/// Or not there at all.
fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |file| file.len() == 0)
}

fn require_ours(copy: &SqliteUrl) -> Result<(), OpenError> {
    let mut connection = connection::plain(copy)?;
    if migration::is_blank_file(&mut connection, copy) {
        return Err(OpenError::Foreign(copy.into()));
    }
    migration::check_requirement(&mut connection, &copy.into())
}

/// Damage shows at once where the schema is.
fn of_copy(copy: &SqliteUrl, error: OpenError) -> RestoreError {
    match error {
        OpenError::Unreachable { cause, .. } if is_damage(&cause) => {
            RestoreError::DamagedCopy { path: copy.path().to_owned(), cause }
        }
        other => other.into(),
    }
}

/// Says whether there was something to rename.
fn rename(from: &Path, to: &Path) -> Result<bool, RestoreError> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(unmovable(from, &cause)),
    }
}

fn unmovable(path: &Path, cause: &impl ToString) -> RestoreError {
    RestoreError::Unmovable { path: path.to_owned(), cause: cause.to_string() }
}
