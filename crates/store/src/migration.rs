use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::BigInt;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::unreachable;
use crate::error::{OpenError, StoreError};
use crate::schema::schema_requirement;
use crate::url::DatabaseUrl;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// The version of this program, as schemas state it.
const THIS_BINARY: &str = env!("CARGO_PKG_VERSION");

/// Runs what is missing, in order.
pub(crate) fn run(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|cause| StoreError::Migration(cause.to_string()))?;
    Ok(())
}

/// Whether something is missing.
pub(crate) fn is_pending(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    connection.has_pending_migration(MIGRATIONS).map_err(|cause| StoreError::Migration(cause.to_string()))
}

/// Whether nothing was ever written: what an interrupted start leaves behind. SQLite itself takes any file that is
/// shorter than its header for an empty database, somebody's one-line note included.
pub(crate) fn is_blank(connection: &mut SqliteConnection, url: &DatabaseUrl) -> bool {
    const HEADER: u64 = 100;
    if url.path().metadata().is_ok_and(|file| (1..HEADER).contains(&file.len())) {
        return false;
    }
    let tables = "(SELECT COUNT(*) FROM sqlite_schema WHERE tbl_name NOT LIKE '!_!_diesel%' ESCAPE '!')";
    diesel::select(sql::<BigInt>(tables)).get_result(connection) == Ok(0_i64)
}

/// Refuses a database that is not ours, or whose schema has left this program behind. Changes nothing.
pub(crate) fn check_requirement(
    connection: &mut SqliteConnection,
    url: &DatabaseUrl,
) -> Result<(), OpenError> {
    if is_blank(connection, url) {
        return Err(OpenError::Absent(url.clone()));
    }
    let needed: String = schema_requirement::table
        .select(schema_requirement::minimum_binary)
        .first(connection)
        .map_err(|cause| {
            if is_foreign(&cause) { OpenError::Foreign(url.clone()) } else { unreachable(url, &cause) }
        })?;
    if version(&needed) > version(THIS_BINARY) {
        return Err(OpenError::BinaryTooOld { url: url.clone(), needed, this: THIS_BINARY });
    }
    Ok(())
}

/// Whether SQLite says that the file is none of its own, or that there is no such table in it. Everything else is no
/// reason to call a database foreign: it may be damaged, or locked.
fn is_foreign(cause: &Error) -> bool {
    let says = |text| matches!(cause, Error::DatabaseError(_, info) if info.message().contains(text));
    *cause == Error::NotFound || ["not a database", "no such table", "no such column"].into_iter().any(says)
}

/// A version as numbers. Text that is no version is newer than everything: it was not written by this program.
fn version(text: &str) -> Vec<u64> {
    text.split('.').map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0.0") > version("0.1.0"));
        assert!(version("soon") > version("99.0.0"));
        assert!(version("0.1.0") <= version("0.1.0"));
    }
}
