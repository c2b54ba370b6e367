use std::hash::{BuildHasher as _, RandomState};
use std::process;

use diesel::connection::CacheSize;
use diesel::dsl::sql;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, ConnectionError, ConnectionResult, PgConnection, RunQueryDsl};

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

/// A setting that the server keeps for a connection, if it is told at its start, and otherwise has no use for.
const MARK: &str = "attesto.connection";

/// Opens the connections to one database.
pub(crate) struct Door {
    url: PostgresUrl,
    /// Whether each connection has a process of the server for itself. Statements are prepared once then. A pooler gives each
    /// transaction another process, which knows none of them, or others by the same names.
    is_direct: bool,
}

impl Door {
    /// Opens a connection and finds out. Most poolers refuse a mark or forget it; one that passes it on gives a second connection
    /// the process of a first one that has nothing to do, and thereby its mark.
    pub(crate) fn find(url: &PostgresUrl) -> ConnectionResult<(Self, AnyConnection)> {
        let marked = open_marked(url)?;
        let is_direct = marked.is_some() && open_marked(url)?.is_some();
        let first = marked.map_or_else(|| establish(url), Ok)?;
        Ok((Self { url: url.clone(), is_direct }, AnyConnection::Postgres(first)))
    }

    pub(crate) fn open(&self) -> ConnectionResult<AnyConnection> {
        let marked = if self.is_direct { open_marked(&self.url)? } else { None };
        // A pooler may have been put in between.
        let Some(mut connection) = marked else { return establish(&self.url).map(AnyConnection::Postgres) };
        connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
        Ok(AnyConnection::Postgres(connection))
    }
}

/// A connection whose process of the server knows its mark; none, if there may be others at work.
fn open_marked(url: &PostgresUrl) -> ConnectionResult<Option<PgConnection>> {
    if url.has_options_elsewhere() {
        return Ok(None);
    }
    let mark = format!("{:016x}", RandomState::new().hash_one(process::id()));
    let mut connection = match establish(&url.with_option(MARK, &mark)) {
        Err(ConnectionError::BadConnection(refused))
            if refused.contains("option") || refused.contains(MARK) =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    let seen = sql::<Nullable<Text>>(&format!("current_setting('{MARK}', true)"));
    let seen: Option<String> = diesel::select(seen).get_result(&mut connection).ok().flatten();
    Ok((seen == Some(mark)).then_some(connection))
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
