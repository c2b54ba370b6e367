use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::owner::{give_to_owner_of_folder, unreachable};
use crate::error::OpenError;
use crate::url::{DatabaseUrl, SqliteUrl};

/// Held by the one server of an SQLite database; released by the operating system however the server ends. A
/// PostgreSQL database has any number of servers.
pub struct ServerLock {
    _file: Option<File>,
}

impl ServerLock {
    /// Takes the lock, or says that another server has it. Commands that are no server need none.
    pub fn acquire(url: &DatabaseUrl) -> Result<Self, OpenError> {
        match url {
            DatabaseUrl::Sqlite(url) => Ok(Self { _file: Some(lock(url)?) }),
            DatabaseUrl::Postgres(_) => Ok(Self { _file: None }),
        }
    }
}

fn lock(url: &SqliteUrl) -> Result<File, OpenError> {
    let unreachable = |cause: io::Error| unreachable(url, &cause);
    let path = SqliteUrl::of(real_path(url.path()).map_err(unreachable)?).beside(".lock");
    let file = open(&path).map_err(unreachable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path)),
        Err(TryLockError::Error(cause)) => Err(unreachable(cause)),
    }
}

/// Whoever can open the file can lock it. One that was there before belongs to whom it should.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(new) => {
            give_to_owner_of_folder(path);
            Ok(new)
        }
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            options.create(true).truncate(false).open(path)
        }
        Err(cause) => Err(cause),
    }
}

/// Where the database really is, so that a link to it leads to the same lock. It need not exist yet.
pub(super) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(_), Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            Ok(folder.canonicalize()?.join(name))
        }
        (real, _, _) => real,
    }
}
