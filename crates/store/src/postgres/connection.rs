use diesel::connection::CacheSize;
use diesel::{Connection, ConnectionResult, PgConnection};

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

pub(crate) fn open(url: &PostgresUrl) -> ConnectionResult<AnyConnection> {
    let mut connection = PgConnection::establish(&url.with_defaults(DEFAULTS))?;
    // A pooler may give the next transaction a connection that knows none of our statements.
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    Ok(AnyConnection::Postgres(connection))
}

pub(crate) fn unreachable(url: &PostgresUrl, cause: &impl ToString) -> OpenError {
    // libpq ends its lines.
    OpenError::unreachable(url, &url.censor(cause.to_string().trim_end()))
}
