use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};

use crate::error::OpenError;
use crate::url::DatabaseUrl;

/// Durable before it is answered: WAL survives a killed process, `synchronous = FULL` a power cut as well. Deleted
/// content is overwritten.
const WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                      PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";

const READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;";

/// How many reads run at once.
const READERS: u32 = 8;

pub(crate) type Readers = Pool<ConnectionManager<SqliteConnection>>;

/// Opens the connection that writes, to a file that exists.
pub(crate) fn writer(url: &DatabaseUrl) -> Result<SqliteConnection, OpenError> {
    let mut connection = establish(url)?;
    connection.batch_execute(WRITER).map_err(|cause| match cause {
        // What SQLite says of a file that is none of its own.
        diesel::result::Error::DatabaseError(_, info) if info.message().contains("not a database") => {
            OpenError::Foreign(url.clone())
        }
        cause => unreachable(url, &cause),
    })?;
    Ok(connection)
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

fn establish(url: &DatabaseUrl) -> Result<SqliteConnection, OpenError> {
    SqliteConnection::establish(&existing(url)?).map_err(|cause| unreachable(url, &cause))
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
        connection.batch_execute(READER).map_err(diesel::r2d2::Error::QueryError)
    }
}
