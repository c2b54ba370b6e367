use std::cell::Cell;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::r2d2::PooledConnection;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{Connection, QueryResult};

use crate::connection::{AnyConnection, on_either};
use crate::error::StoreError;
use crate::pool::{Connections, Opener};
use crate::session::Moved;
use crate::store::{Change, Read, Write};

/// One consistent state for all queries. No statement takes longer than a request may, waits for locks included.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '5s'; \
                    SET LOCAL lock_timeout = 0";

/// Every change is guarded, and what a decision rests on is locked before it is read.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '5s'; \
                     SET LOCAL lock_timeout = '1s'; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// How often runs what the database would not let through, and until when another time is begun: PostgreSQL looks
/// for deadlocks after a second.
const ATTEMPTS: u32 = 4;
const ATTEMPTS_FOR: Duration = Duration::from_secs(3);

pub(crate) fn read<T>(
    pool: &Connections,
    queries: impl FnOnce(&mut Read<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut connection = begin(pool, READ)?;
    let outcome = queries(&mut Read { connection: &mut connection });
    // What was read is read, whatever becomes of the transaction.
    let _ = roll_back(&mut connection);
    outcome
}

/// One query is a transaction by itself, and needs not be told when it begins and ends. It finds rows by their keys: what could
/// take long is to get an answer at all. Where a table is locked, it is run again like a change.
pub(crate) fn find<T>(
    pool: &Connections,
    query: impl Fn(&mut Read<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    with_patience(|_| on_one_that_works(pool, |connection| query(&mut Read { connection })))
        .map(|(_, found)| found)
}

/// `changes` are run again if others were in their way.
pub(crate) fn write<T>(
    pool: &Connections,
    changes: impl Fn(&mut Write<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    with_patience(|waited| {
        let mut connection = begin(pool, WRITE)?;
        match changes(&mut Write::on(&mut connection, waited)) {
            Ok(value) => commit(&mut connection).map(|()| value),
            Err(refused) => {
                let _ = roll_back(&mut connection);
                Err(refused)
            }
        }
    })
}

/// The same for one statement on a connection that keeps its time-outs itself, and needs not be told when it begins and ends.
pub(crate) fn change(
    pool: &Connections,
    change: impl Fn(Change<'_>) -> Result<Moved, StoreError>,
) -> Result<Moved, StoreError> {
    let broke = Cell::new(false);
    let change = |connection: &mut AnyConnection| {
        change(Change { connection }).inspect_err(|cause| broke.set(broke.get() || is_closed(cause)))
    };
    let (_, moved) = with_patience(|_| on_one_that_works(pool, change))?;
    if broke.get() && moved == Moved::LostRace {
        // It may have lost against itself.
        return Err(StoreError::NotCommitted("the connection broke".to_owned()));
    }
    Ok(moved)
}

pub(crate) fn connection(pool: &Connections) -> Result<PooledConnection<Opener>, StoreError> {
    pool.get().map_err(|cause| StoreError::Connection(cause.to_string()))
}

/// Tells each attempt how much time those before it took.
fn with_patience<T>(attempt: impl Fn(Duration) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let since = Instant::now();
    let mut waited = Duration::ZERO;
    for _ in 1..ATTEMPTS {
        match attempt(waited) {
            Err(refused) if deserves_another_attempt(&refused) && since.elapsed() <= ATTEMPTS_FOR => {}
            outcome => return outcome,
        }
        waited = since.elapsed();
    }
    attempt(waited)
}

fn begin(pool: &Connections, sql: &str) -> Result<PooledConnection<Opener>, StoreError> {
    let begin = |connection: &mut AnyConnection| {
        // Half of it may have been done.
        Ok(begin_on(connection, sql).inspect_err(|_| discard(connection))?)
    };
    on_one_that_works(pool, begin).map(|(connection, ())| connection)
}

/// When the server was away, the connections of before are all broken, and nobody knows it yet.
fn on_one_that_works<T>(
    pool: &Connections,
    attempt: impl Fn(&mut AnyConnection) -> Result<T, StoreError>,
) -> Result<(PooledConnection<Opener>, T), StoreError> {
    for _ in 0..pool.max_size() {
        let mut connection = connection(pool)?;
        match attempt(&mut connection) {
            Ok(value) => return Ok((connection, value)),
            Err(cause) if is_closed(&cause) => discard(&mut connection),
            Err(cause) => return Err(cause),
        }
    }
    Err(StoreError::Connection("all of them are broken".to_owned()))
}

fn begin_on(connection: &mut AnyConnection, sql: &str) -> QueryResult<()> {
    on_either!(connection, |connection| AnsiTransactionManager::begin_transaction_sql(connection, sql))
}

fn roll_back(connection: &mut AnyConnection) -> QueryResult<()> {
    <AnyConnection as Connection>::TransactionManager::rollback_transaction(connection)
}

/// If the connection breaks meanwhile, nobody knows whether it is committed. A change that is asked for again finds out.
fn commit(connection: &mut AnyConnection) -> Result<(), StoreError> {
    <AnyConnection as Connection>::TransactionManager::commit_transaction(connection)
        .map_err(|cause| StoreError::NotCommitted(cause.to_string()))
}

fn is_closed(cause: &StoreError) -> bool {
    matches!(cause, StoreError::Database(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _)))
}

/// The pool does not take it back.
fn discard(connection: &mut AnyConnection) {
    <AnyConnection as Connection>::TransactionManager::transaction_manager_status_mut(connection)
        .set_in_error();
}

/// Whether others were in the way (40001, 40P01, 55P03), or the connection broke before anything was committed. Diesel tells
/// deadlocks and locks that were waited for too long from nothing else that it does not know.
fn deserves_another_attempt(refused: &StoreError) -> bool {
    let StoreError::Database(Error::DatabaseError(kind, _)) = refused else { return false };
    matches!(
        kind,
        DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::Unknown
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::connection::Door;
    use crate::postgres::connection::tests::{cluster, parse};

    #[test]
    fn a_change_that_may_have_lost_against_itself_lost_against_nobody() {
        let cluster = cluster();
        let (door, _) = Door::find(&parse(&cluster.url("postgres"))).unwrap();
        let pool = crate::pool::connections(2, Duration::from_secs(1), move || door.open());
        for (then, outcome) in [(Moved::Yes, Some(Moved::Yes)), (Moved::LostRace, None)] {
            let breaks = Cell::new(true);
            let changed = change(&pool, |_| if breaks.take() { Err(closed()) } else { Ok(then) });
            assert_eq!(changed.as_ref().ok(), outcome.as_ref(), "{changed:?}");
            assert!(matches!(changed, Ok(_) | Err(StoreError::NotCommitted(_))), "{changed:?}");
        }
        assert_eq!(change(&pool, |_| Ok(Moved::LostRace)).ok(), Some(Moved::LostRace));
    }

    fn closed() -> StoreError {
        let cause = Box::new("it broke".to_owned());
        StoreError::Database(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, cause))
    }
}
