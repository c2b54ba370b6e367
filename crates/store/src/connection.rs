//! One connection, whichever the database. The variant follows from the scheme of the URL, never from which of them
//! happens to answer.

use diesel::{PgConnection, SqliteConnection};

#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Builds a statement for each backend by itself: diesel's enum knows no `ON CONFLICT`.
macro_rules! on_either {
    ($connection:expr, |$inner:ident| $statement:expr) => {
        match &mut *$connection {
            $crate::connection::AnyConnection::Sqlite($inner) => $statement,
            $crate::connection::AnyConnection::Postgres($inner) => $statement,
        }
    };
}

pub(crate) use on_either;
