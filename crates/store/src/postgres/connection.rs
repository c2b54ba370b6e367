use std::hash::{BuildHasher as _, RandomState};
use std::process;
use std::sync::{Mutex, PoisonError};

use diesel::connection::CacheSize;
use diesel::dsl::sql;
use diesel::sql_types::{Integer, Nullable, Text};
use diesel::{Connection, ConnectionResult, PgConnection, RunQueryDsl};

use crate::connection::AnyConnection;
use crate::error::OpenError;
use crate::url::PostgresUrl;

/// What libpq is told if the URL does not: a server that vanished is noticed within seconds.
const DEFAULTS: &[(&str, &str)] = &[
    ("application_name", "attesto"),
    ("connect_timeout", "3"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "8000"),
    // Of several servers the one that writes.
    ("target_session_attrs", "read-write"),
];

/// A setting that the server keeps for a connection, if it is told at its start, and otherwise has no use for. Whoever gives it one
/// in the URL says that there is a pooler.
const MARK: &str = "attesto.connection";

/// How long a statement that is a transaction by itself waits for others.
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "1s");

/// Opens the connections to one database.
pub(crate) struct Door {
    url: PostgresUrl,
    /// Whether each connection has a process of the server for itself. Statements are prepared once then, and settings stay. A
    /// pooler gives each transaction another process, which knows no such statement, or another one by the same name.
    pub(crate) is_direct: bool,
    /// What was opened to find out, for whoever comes first.
    spare: Mutex<Option<Marked>>,
}

/// A connection whose process of the server knows its mark.
struct Marked {
    connection: PgConnection,
    process: i32,
}

impl Door {
    /// Opens a connection and finds out. Most poolers refuse a mark or forget it. One that passes it on, or sets it anew for each
    /// transaction, gives a second connection the process of a first one that has nothing to do.
    pub(crate) fn find(url: &PostgresUrl) -> ConnectionResult<(Self, AnyConnection)> {
        let first = open_marked(url);
        let second =
            first.as_ref().and_then(|first| open_marked(url).filter(|it| it.process != first.process));
        let first = first.map_or_else(|| establish(url), |first| Ok(first.connection))?;
        let door = Self { url: url.clone(), is_direct: second.is_some(), spare: Mutex::new(second) };
        Ok((door, AnyConnection::Postgres(first)))
    }

    pub(crate) fn open(&self) -> ConnectionResult<AnyConnection> {
        let marked = if self.is_direct { self.spare().or_else(|| open_marked(&self.url)) } else { None };
        // A pooler may have been put in between.
        let Some(Marked { mut connection, .. }) = marked else {
            return establish(&self.url).map(AnyConnection::Postgres);
        };
        connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
        Ok(AnyConnection::Postgres(connection))
    }

    fn spare(&self) -> Option<Marked> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// None as well if it cannot be opened: without a mark it may.
fn open_marked(url: &PostgresUrl) -> Option<Marked> {
    if url.has_options_elsewhere() || url.has_option(MARK) {
        return None;
    }
    let mark = format!("{:016x}", RandomState::new().hash_one(process::id()));
    let (name, value) = LOCK_TIMEOUT;
    let mut connection = establish(&url.with_option(MARK, &mark).with_option(name, value)).ok()?;
    let seen = sql::<Nullable<Text>>(&format!("current_setting('{MARK}', true)"));
    let seen = diesel::select((seen, sql::<Integer>("pg_backend_pid()"))).get_result(&mut connection);
    let (seen, process): (Option<String>, i32) = seen.ok()?;
    (seen == Some(mark)).then_some(Marked { connection, process })
}

fn establish(url: &PostgresUrl) -> ConnectionResult<PgConnection> {
    let mut connection = PgConnection::establish(&url.with_defaults(DEFAULTS))?;
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    Ok(connection)
}

pub(crate) fn unreachable(url: &PostgresUrl, cause: &impl ToString) -> OpenError {
    // libpq ends its lines.
    OpenError::unreachable(url, &url.censor(cause.to_string().trim_end()))
}

#[cfg(test)]
mod tests;
