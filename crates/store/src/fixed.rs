use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

/// A statement whose text is always the same: a connection compiles it once and finds it again without the text being put
/// together. Diesel assumes of every UPDATE, and of every fragment of SQL, that its text could be another each time, and
/// SQLite then takes longer to compile it than to run it.
pub(crate) struct Fixed<T, Name> {
    statement: T,
    name: PhantomData<Name>,
}

/// Runs the statement that stands here, and gives the row that comes back: a change ends with RETURNING, because diesel has it
/// compiled anew after all where it only counts what changed. Not for generic functions, where it could be several; and only on a
/// connection of one database ([`on_either!`](crate::connection::on_either)), for the one of either puts the text together every
/// time.
macro_rules! fixed {
    ($connection:expr, $statement:expr) => {{
        struct Here;
        let statement = $crate::fixed::Fixed::<_, Here>::new($statement);
        diesel::RunQueryDsl::get_result(statement, $connection)
    }};
}

pub(crate) use fixed;

impl<T, Name> Fixed<T, Name> {
    pub(crate) fn new(statement: T) -> Self {
        Self { statement, name: PhantomData }
    }
}

impl<T: Query, Name> Query for Fixed<T, Name> {
    type SqlType = T::SqlType;
}

impl<T, Name: 'static> QueryId for Fixed<T, Name> {
    type QueryId = Name;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T: QueryFragment<DB>, Name, DB: Backend> QueryFragment<DB> for Fixed<T, Name> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T, Name, Conn> RunQueryDsl<Conn> for Fixed<T, Name> {}

#[cfg(test)]
mod tests {
    use diesel::connection::{Connection as _, InstrumentationEvent, SimpleConnection as _};
    use diesel::prelude::*;
    use diesel::sql_types::Integer;
    use diesel::{SqliteConnection, dsl::sql};
    use std::sync::atomic::{AtomicUsize, Ordering};

    static CACHED: AtomicUsize = AtomicUsize::new(0);

    diesel::table! {
        counters (id) {
            id -> Integer,
            count -> Integer,
        }
    }

    #[test]
    fn each_is_compiled_once() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.batch_execute("CREATE TABLE counters (id INTEGER, count INTEGER)").unwrap();
        connection.batch_execute("INSERT INTO counters VALUES (1, 0)").unwrap();
        connection.set_instrumentation(|event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                CACHED.fetch_add(1, Ordering::Relaxed);
            }
        });
        let literal = || diesel::select(sql::<Integer>("7"));
        let change = |count: i32| {
            diesel::update(counters::table.find(1)).set(counters::count.eq(count)).returning(counters::count)
        };
        for time in 1..=3 {
            assert_eq!(literal().get_result(&mut connection), Ok(7));
            assert_eq!(change(time).get_result(&mut connection), Ok(time));
        }
        assert_eq!(CACHED.load(Ordering::Relaxed), 0);
        for time in 4..=6 {
            assert_eq!(fixed!(&mut connection, literal()), Ok(7));
            assert_eq!(fixed!(&mut connection, change(time)), Ok(time));
        }
        assert_eq!(CACHED.load(Ordering::Relaxed), 2);
    }
}
