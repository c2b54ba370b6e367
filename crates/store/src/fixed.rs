use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

/// A statement whose text is always the same, and which a connection compiles once. Diesel assumes of every UPDATE, and of
/// every fragment of SQL, that its text could be another each time, and SQLite then takes longer to compile it than to run
/// it.
pub(crate) struct Fixed<T>(pub T);

impl<T: Query> Query for Fixed<T> {
    type SqlType = T::SqlType;
}

/// Compiled statements are found by their text.
impl<T> QueryId for Fixed<T> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Fixed<T> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T, Conn> RunQueryDsl<Conn> for Fixed<T> {}

#[cfg(test)]
mod tests {
    use diesel::connection::{Connection as _, InstrumentationEvent};
    use diesel::prelude::*;
    use diesel::sql_types::Integer;
    use diesel::{SqliteConnection, dsl::sql};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static CACHED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn it_is_compiled_once() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.set_instrumentation(|event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                CACHED.fetch_add(1, Ordering::Relaxed);
            }
        });
        let literal = || diesel::select(sql::<Integer>("7"));
        for _ in 0..3 {
            assert_eq!(literal().get_result::<i32>(&mut connection), Ok(7));
        }
        assert_eq!(CACHED.load(Ordering::Relaxed), 0);
        for _ in 0..3 {
            assert_eq!(Fixed(literal()).get_result::<i32>(&mut connection), Ok(7));
        }
        assert_eq!(CACHED.load(Ordering::Relaxed), 1);
    }
}
