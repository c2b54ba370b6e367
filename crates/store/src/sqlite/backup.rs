use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl};

use super::connection;
use crate::connection::AnyConnection;
use crate::error::BackupError;
use crate::url::SqliteUrl;

/// Writes all of the database to a new file, as it is at one moment; others read and write meanwhile. What deleted rows have
/// left behind is not in it. It is on the disk when this returns.
pub(crate) fn back_up(url: &SqliteUrl, file: &Path) -> Result<(), BackupError> {
    let unwritable = |cause: io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::Unwritable { path: file.to_owned(), cause: cause.to_string() },
    };
    let name = file.to_str().ok_or_else(|| unwritable(ErrorKind::InvalidFilename.into()))?;
    let mut connection = connection::plain(url)?;
    let new = private_file(file).map_err(unwritable)?;
    let copied = copy_into(&mut connection, name)
        .map_err(|cause| uncopied(url, file, cause.to_string()))
        .and_then(|()| new.sync_all().and_then(|()| sync_folder_of(file)).map_err(unwritable));
    if copied.is_err() {
        // Half a copy would be taken for one. If it cannot be removed, the next attempt says that it exists.
        let _ = fs::remove_file(file);
    }
    copied
}

/// SQLite takes an empty file for a new one.
fn copy_into(connection: &mut AnyConnection, file: &str) -> QueryResult<()> {
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(file).execute(connection).map(drop)
}

/// Either of the two files may be the reason; SQLite does not say which.
fn uncopied(from: &SqliteUrl, to: &Path, cause: String) -> BackupError {
    if is_damage(&cause) {
        BackupError::Damaged { path: from.path().to_owned(), cause }
    } else {
        BackupError::Unwritable { path: to.to_owned(), cause }
    }
}

/// Whether SQLite says that a file is not what it was.
pub(super) fn is_damage(cause: &str) -> bool {
    cause.contains("malformed")
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn sync_folder_of(file: &Path) -> io::Result<()> {
    File::open(folder_of(file))?.sync_all()
}

pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
