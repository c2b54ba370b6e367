use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

use crate::error::OpenError;
use crate::url::SqliteUrl;

/// For tests: what a database is before its first statement.
#[cfg(test)]
pub(super) fn blank_file(folder: &std::path::Path) -> SqliteUrl {
    use crate::url::DatabaseUrl;
    fs::write(folder.join("a.db"), "").unwrap();
    let Ok(DatabaseUrl::Sqlite(url)) = DatabaseUrl::parse("sqlite:a.db", folder) else { panic!() };
    url
}

/// An existing file stays as it is.
pub(crate) fn create_file(url: &SqliteUrl) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(url.path()) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(OpenError::unreachable(url, &cause)),
    }
}

/// An empty file that somebody else made may be readable by all.
pub(crate) fn hide_file(url: &SqliteUrl) -> Result<(), OpenError> {
    #[cfg(unix)]
    fs::set_permissions(url.path(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|cause| OpenError::unreachable(url, &cause))?;
    Ok(())
}
