use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};

use crate::error::OpenError;
use crate::url::DatabaseUrl;

/// Another process's transaction is waited for.
const PATIENT: &str = "PRAGMA busy_timeout = 5000;";

/// Durable before it is answered: WAL survives a killed process, `synchronous = FULL` a power cut as well. Deleted
/// content is overwritten.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA secure_delete = ON;";

const READER: &str = "PRAGMA query_only = ON;";

/// How many reads run at once.
const READERS: u32 = 8;

pub(crate) type Readers = Pool<ConnectionManager<SqliteConnection>>;

/// Opens the connection that writes, to a file that exists.
pub(crate) fn writer(url: &DatabaseUrl) -> Result<SqliteConnection, OpenError> {
    let mut connection = plain(url)?;
    connection.batch_execute(WRITER).map_err(|cause| unreachable(url, &cause))?;
    Ok(connection)
}

/// Opens a connection to a file that may be anybody's: nothing changes, not even the journal mode.
pub(crate) fn plain(url: &DatabaseUrl) -> Result<SqliteConnection, OpenError> {
    let mut connection =
        SqliteConnection::establish(&existing(url)?).map_err(|cause| unreachable(url, &cause))?;
    connection.batch_execute(PATIENT).map_err(|cause| unreachable(url, &cause))?;
    Ok(connection)
}

/// SQLite opens what it cannot write, and says so at the first write only.
pub(crate) fn require_writable(
    connection: &mut SqliteConnection,
    url: &DatabaseUrl,
) -> Result<(), OpenError> {
    let nothing = "UPDATE schema_requirement SET one = 1 WHERE FALSE";
    connection.batch_execute(nothing).map_err(|cause| unreachable(url, &cause))
}

pub(crate) fn readers(url: &DatabaseUrl) -> Result<Readers, OpenError> {
    Pool::builder()
        .max_size(READERS)
        .min_idle(Some(1))
        .connection_timeout(std::time::Duration::from_secs(1))
        .connection_customizer(Box::new(QueryOnly))
        .build(ConnectionManager::new(existing(url)?))
        .map_err(|cause| unreachable(url, &cause))
}

/// The path as SQLite wants it. SQLite would make an absent file; only `init` may do that, and does so by itself.
fn existing(url: &DatabaseUrl) -> Result<String, OpenError> {
    let path: &Path = url.path();
    if !path.exists() {
        return Err(OpenError::Absent(url.clone()));
    }
    path.to_str().map(str::to_owned).ok_or_else(|| unreachable(url, &"its path is not UTF-8"))
}

pub(crate) fn unreachable(url: &DatabaseUrl, cause: &impl ToString) -> OpenError {
    OpenError::Unreachable { url: url.clone(), cause: cause.to_string() }
}

#[derive(Debug)]
struct QueryOnly;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for QueryOnly {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        let pragmas = [PATIENT, READER].concat();
        connection.batch_execute(&pragmas).map_err(diesel::r2d2::Error::QueryError)
    }
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;
    use diesel::dsl::sql;
    use diesel::sql_types::Text;

    use super::*;

    #[test]
    fn connections_are_set_up_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse("sqlite:a.db", folder.path()).unwrap();
        std::fs::write(url.path(), "").unwrap();
        let mut writer = writer(&url).unwrap();
        let mut reader = readers(&url).unwrap().get().unwrap();
        let table: [(&mut SqliteConnection, &[(&str, &str)]); 2] = [
            (
                &mut writer,
                &[
                    ("busy_timeout", "5000"),
                    ("journal_mode", "wal"),
                    ("synchronous", "2"),
                    ("foreign_keys", "1"),
                    ("secure_delete", "1"),
                    ("query_only", "0"),
                ],
            ),
            (&mut reader, &[("busy_timeout", "5000"), ("journal_mode", "wal"), ("query_only", "1")]),
        ];
        for (connection, pragmas) in table {
            for (pragma, expected) in pragmas {
                let found: String = sql::<Text>(&format!("PRAGMA {pragma}")).get_result(connection).unwrap();
                assert_eq!(found, *expected, "{pragma}");
            }
        }
    }
}
