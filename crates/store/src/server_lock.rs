use std::fs::{File, OpenOptions, TryLockError};

use crate::error::OpenError;
use crate::url::DatabaseUrl;

/// Held by the one server of an SQLite database; released by the operating system however the server ends.
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock, or says that another server has it. Commands that are no server need none.
    pub fn acquire(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let mut path = url.path().as_os_str().to_owned();
        path.push(".lock");
        let unreachable =
            |cause: std::io::Error| OpenError::Unreachable { url: url.clone(), cause: cause.to_string() };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        // Whoever can open the file can lock it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(unreachable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.into())),
            Err(TryLockError::Error(cause)) => Err(unreachable(cause)),
        }
    }
}
