use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, ConnectionError, ConnectionResult, SqliteConnection};

use super::owner::unreachable;
use crate::connection::AnyConnection;
use crate::error::OpenError;
use crate::pool::{Connections, connections};
use crate::url::SqliteUrl;

/// Another process's transaction is waited for.
const PATIENT: &str = "PRAGMA busy_timeout = 5000;";

/// Durable before it is answered: WAL survives a killed process, `synchronous = FULL` a power cut as well. Deleted
/// content is overwritten. The log is copied by another thread; not before it is a gigabyte does whoever commits do it.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 250000;";

/// The log is on the disk before its pages replace those of the database, and these before the log begins anew.
const CHECKPOINTER: &str = "PRAGMA synchronous = FULL;";

const READER: &str = "PRAGMA query_only = ON;";

/// How many reads run at once.
const READERS: u32 = 8;

/// How long a read waits for others to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens the connection that writes, to a file that exists.
pub(crate) fn writer(url: &SqliteUrl) -> Result<AnyConnection, OpenError> {
    let mut connection = plain(url)?;
    connection.batch_execute(WRITER).map_err(|cause| unreachable(url, &cause))?;
    Ok(connection)
}

/// Opens a connection that copies the write-ahead log into the file.
pub(crate) fn checkpointer(url: &SqliteUrl) -> Result<AnyConnection, OpenError> {
    open(&existing(url)?, &[PATIENT, CHECKPOINTER].concat()).map_err(|cause| unreachable(url, &cause))
}

/// Opens a connection to a file that may be anybody's: nothing changes, not even the journal mode.
pub(crate) fn plain(url: &SqliteUrl) -> Result<AnyConnection, OpenError> {
    open(&existing(url)?, PATIENT).map_err(|cause| unreachable(url, &cause))
}

/// SQLite opens what it cannot write, and says so at the first write only.
pub(crate) fn require_writable(connection: &mut AnyConnection, url: &SqliteUrl) -> Result<(), OpenError> {
    let nothing = "UPDATE schema_requirement SET one = 1 WHERE FALSE";
    connection.batch_execute(nothing).map_err(|cause| unreachable(url, &cause))
}

pub(crate) fn readers(url: &SqliteUrl) -> Result<Connections, OpenError> {
    let path = existing(url)?;
    Ok(connections(READERS, PATIENCE, move || open(&path, &[PATIENT, READER].concat())))
}

fn open(path: &str, pragmas: &str) -> ConnectionResult<AnyConnection> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(pragmas).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(AnyConnection::Sqlite(connection))
}

/// The path as SQLite wants it. SQLite would make an absent file; only `init` may do that, and does so by itself.
fn existing(url: &SqliteUrl) -> Result<String, OpenError> {
    if !url.path().exists() {
        return Err(OpenError::Absent(url.into()));
    }
    url.path()
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| OpenError::unreachable(url, &"its path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;
    use diesel::dsl::sql;
    use diesel::sql_types::Text;

    use super::super::file::blank_file;
    use super::*;

    #[test]
    fn connections_are_set_up_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let url = blank_file(folder.path());
        let mut writer = writer(&url).unwrap();
        let mut reader = readers(&url).unwrap().get().unwrap();
        let mut checkpointer = checkpointer(&url).unwrap();
        let table: [(&mut AnyConnection, &[(&str, &str)]); 3] = [
            (
                &mut writer,
                &[
                    ("busy_timeout", "5000"),
                    ("journal_mode", "wal"),
                    ("synchronous", "2"),
                    ("foreign_keys", "1"),
                    ("secure_delete", "1"),
                    ("wal_autocheckpoint", "250000"),
                    ("query_only", "0"),
                ],
            ),
            (&mut checkpointer, &[("busy_timeout", "5000"), ("journal_mode", "wal"), ("synchronous", "2")]),
            (&mut reader, &[("busy_timeout", "5000"), ("journal_mode", "wal"), ("query_only", "1")]),
        ];
        for (connection, pragmas) in table {
            for (pragma, expected) in pragmas {
                let found: String = sql::<Text>(&format!("PRAGMA {pragma}")).get_result(connection).unwrap();
                assert_eq!(found, *expected, "{pragma}");
            }
            let built: Vec<String> = sql::<Text>("PRAGMA compile_options").load(connection).unwrap();
            for option in ["THREADSAFE=2", "OMIT_LOAD_EXTENSION"] {
                assert!(built.iter().any(|with| with == option), "{option} is not among {built:?}");
            }
        }
    }
}
