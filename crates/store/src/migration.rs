use std::thread::sleep;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::MigrationVersion;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::BigInt;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::AnyConnection;
use crate::error::{OpenError, StoreError};
use crate::schema::schema_requirement;
use crate::url::{DatabaseUrl, SqliteUrl};

const OF_SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const OF_POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The version of this program, as schemas state it.
const THIS_BINARY: &str = env!("CARGO_PKG_VERSION");

/// Runs what is missing, in order; says what.
pub(crate) fn run(connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    let numbers = |run: Vec<MigrationVersion<'_>>| run.iter().map(ToString::to_string).collect();
    let outcome = match connection {
        AnyConnection::Sqlite(connection) => connection.run_pending_migrations(OF_SQLITE).map(numbers),
        AnyConnection::Postgres(connection) => connection.run_pending_migrations(OF_POSTGRES).map(numbers),
    };
    outcome.map_err(|cause| StoreError::Migration(cause.to_string()))
}

/// Whether something is missing.
pub(crate) fn is_pending(connection: &mut AnyConnection) -> Result<bool, StoreError> {
    let outcome = match connection {
        AnyConnection::Sqlite(connection) => connection.has_pending_migration(OF_SQLITE),
        AnyConnection::Postgres(connection) => connection.has_pending_migration(OF_POSTGRES),
    };
    outcome.map_err(|cause| StoreError::Migration(cause.to_string()))
}

/// Runs what is missing while others may want the same: one after the other, all of it or nothing.
pub(crate) fn run_together(connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    make_turns(connection)?;
    connection.transaction(|connection| {
        // A row rather than a lock of the session, which a pooler would give to somebody else. Nobody is held up by who waits
        // for it; whoever waits for a table holds up all that come after.
        connection.batch_execute(
            "SET LOCAL lock_timeout = 0; UPDATE migration_turns SET turn = turn + 1; SET LOCAL lock_timeout = '5s'",
        )?;
        run(connection)
    })
}

/// The table whose one row is held by whoever migrates. Two that make it at once disturb each other.
fn make_turns(connection: &mut AnyConnection) -> Result<(), StoreError> {
    const ATTEMPTS: u32 = 20;
    let make = "CREATE TABLE IF NOT EXISTS migration_turns (one INTEGER PRIMARY KEY CHECK (one = 1), turn BIGINT NOT NULL); \
                INSERT INTO migration_turns (one, turn) \
                SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM migration_turns) ON CONFLICT DO NOTHING";
    for _ in 1..ATTEMPTS {
        match connection.batch_execute(make) {
            Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::Unknown, _)) => {
                sleep(Duration::from_millis(50));
            }
            outcome => return Ok(outcome?),
        }
    }
    Ok(connection.batch_execute(make)?)
}

/// Whether nothing was ever written: what an interrupted start leaves behind. SQLite itself takes any file that is
/// shorter than its header for an empty database, somebody's one-line note included.
pub(crate) fn is_blank_file(connection: &mut AnyConnection, url: &SqliteUrl) -> bool {
    const HEADER: u64 = 100;
    if url.path().metadata().is_ok_and(|file| (1..HEADER).contains(&file.len())) {
        return false;
    }
    is_blank(connection) == Ok(true)
}

/// Whether there are no tables but those that come before the first migration.
pub(crate) fn is_blank(connection: &mut AnyConnection) -> QueryResult<bool> {
    let tables = match connection {
        AnyConnection::Sqlite(_) => {
            "(SELECT COUNT(*) FROM sqlite_schema WHERE tbl_name NOT LIKE '!_!_diesel%' ESCAPE '!')"
        }
        AnyConnection::Postgres(_) => {
            "(SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() \
             AND table_name NOT IN ('__diesel_schema_migrations', 'migration_turns'))"
        }
    };
    let tables: i64 = diesel::select(sql::<BigInt>(tables)).get_result(connection)?;
    Ok(tables == 0)
}

/// Refuses a database that is not ours, or whose schema has left this program behind. Changes nothing.
pub(crate) fn check_requirement(connection: &mut AnyConnection, url: &DatabaseUrl) -> Result<(), OpenError> {
    let needed: String = schema_requirement::table
        .select(schema_requirement::minimum_binary)
        .get_result(connection)
        .map_err(|cause| {
            if is_foreign(&cause) {
                OpenError::Foreign(url.clone())
            } else {
                OpenError::Unreachable { url: url.clone(), cause: cause.to_string() }
            }
        })?;
    if version(&needed) > version(THIS_BINARY) {
        return Err(OpenError::BinaryTooOld { url: url.clone(), needed, this: THIS_BINARY });
    }
    Ok(())
}

/// Whether the database says that it is none of its kind, or that there is no such table in it. Everything else is no
/// reason to call a database foreign: it may be damaged, or locked.
fn is_foreign(cause: &Error) -> bool {
    let says = |text| matches!(cause, Error::DatabaseError(_, info) if info.message().contains(text));
    let of_sqlite = ["not a database", "no such table", "no such column"].into_iter().any(says);
    *cause == Error::NotFound || of_sqlite || says("\"schema_requirement\"")
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
