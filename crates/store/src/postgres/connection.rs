use std::hash::{BuildHasher as _, RandomState};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use diesel::connection::CacheSize;
use diesel::dsl::sql;
use diesel::sql_types::{Integer, Nullable, Text};
use diesel::{Connection, ConnectionError, ConnectionResult, PgConnection, QueryResult, RunQueryDsl};

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

/// How long a statement that is a transaction by itself waits for each lock.
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "1s");

/// Opens the connections to one database.
pub(crate) struct Door {
    url: PostgresUrl,
    /// Whether each connection has a process of the server for itself. Statements are prepared once then, and settings stay. A
    /// pooler gives each transaction another process, which knows no such statement, or another one by the same name.
    is_direct: AtomicBool,
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
    /// transaction, gives a second connection the process of a first one that has nothing to do, unless others use it.
    pub(crate) fn find(url: &PostgresUrl) -> ConnectionResult<(Self, AnyConnection)> {
        // Poolers have many words for what they do not like.
        let first =
            open_marked(url).or_else(|cause| if is_answer(&cause) { Ok(None) } else { Err(cause) })?;
        let second = first
            .as_ref()
            .and_then(|first| open_marked(url).ok()?.filter(|second| second.process != first.process));
        let first = first.map_or_else(|| establish(url), |first| Ok(first.connection))?;
        let is_direct = AtomicBool::new(second.is_some());
        let door = Self { url: url.clone(), is_direct, spare: Mutex::new(second) };
        Ok((door, AnyConnection::Postgres(first)))
    }

    pub(crate) fn open(&self) -> ConnectionResult<AnyConnection> {
        if self.is_direct() {
            if let Some(mut connection) = self.open_direct()? {
                connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
                return Ok(AnyConnection::Postgres(connection));
            }
            tracing::warn!("a pooler was put before the database: statements are no longer prepared");
            self.is_direct.store(false, Ordering::Relaxed);
        }
        establish(&self.url).map(AnyConnection::Postgres)
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct.load(Ordering::Relaxed)
    }

    fn open_direct(&self) -> ConnectionResult<Option<PgConnection>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let marked = spare.map_or_else(|| open_marked(&self.url), |spare| Ok(Some(spare)))?;
        Ok(marked.map(|marked| marked.connection))
    }
}

/// None if the mark is refused, or forgotten, or may not be given.
fn open_marked(url: &PostgresUrl) -> ConnectionResult<Option<Marked>> {
    if url.has_pooler() || url.has_options_elsewhere() {
        return Ok(None);
    }
    let mark = format!("{:016x}", RandomState::new().hash_one(process::id()));
    let mut connection = match establish(&url.with_option((MARK, &mark)).with_option(LOCK_TIMEOUT)) {
        Err(ConnectionError::BadConnection(refused))
            if refused.contains("option") || refused.contains(MARK) =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    let seen = sql::<Nullable<Text>>(&format!("current_setting('{MARK}', true)"));
    let seen = diesel::select((seen, sql::<Integer>("pg_backend_pid()"))).get_result(&mut connection);
    let Ok((seen, process)): QueryResult<(Option<String>, i32)> = seen else { return Ok(None) };
    Ok((seen == Some(mark)).then_some(Marked { connection, process }))
}

/// Whether there is somebody who says so.
fn is_answer(cause: &ConnectionError) -> bool {
    matches!(cause, ConnectionError::BadConnection(refused) if refused.contains("FATAL"))
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
pub(super) mod tests;
