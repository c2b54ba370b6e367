//! What begins and ends transactions, as statements that are compiled once for each connection. Diesel runs such text anew
//! each time, which takes as long as a small query.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

use crate::connection::{AnyConnection, on_either};

macro_rules! commands {
    ($($name:ident: $sql:literal,)*) => {$(
        #[derive(Clone, Copy, QueryId)]
        pub(super) struct $name;

        impl<DB: Backend> QueryFragment<DB> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }

        impl<Conn> RunQueryDsl<Conn> for $name {}

        impl $name {
            pub(super) fn run(self, connection: &mut AnyConnection) -> QueryResult<()> {
                on_either!(connection, |connection| self.execute(connection)).map(drop)
            }
        }
    )*};
}

commands! {
    Begin: "BEGIN",
    BeginImmediate: "BEGIN IMMEDIATE",
    Commit: "COMMIT",
    Rollback: "ROLLBACK",
    Savepoint: "SAVEPOINT change",
    Release: "RELEASE change",
    RollbackToSavepoint: "ROLLBACK TO change",
}
