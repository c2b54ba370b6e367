//! What a decision rests on stays as it was read until the decision is written.
//!
//! SQLite lets one write at a time, so that there is nothing to do. On PostgreSQL others write beside this one, and each
//! statement sees what they have committed by then. Whoever changes a row that others decide by, or counts up from what
//! it read, holds the row before it reads. Whoever only decides by rows shares them with others that do.
//!
//! The order is always the same: servers, throttle counters, feed, clients, authority, users, sessions, key uses, and
//! last the counter of the feed; but that a sign-in clears its throttle counters at its end, which nobody holds who waits
//! for anything else. Whoever meets somebody else all the same is run again.

use std::time::Duration;

use attesto_core::{ClientId, SessionId, UserId};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment};
use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl};

use crate::connection::AnyConnection;
use crate::error::StoreError;
use crate::store::Write;

/// A lock that waits for a row is overtaken by all who come to share the row meanwhile, and may wait for ever. These turns
/// are fair: whoever comes later waits behind. What is right hangs on the rows alone, so that an engine without such turns
/// is slower to end something, and no less safe.
const SHARE_STANDING: &str = "\
    WITH turns AS MATERIALIZED ( \
        SELECT client_id, user_id, pg_advisory_xact_lock_shared(hashtextextended(client_id, 1)), \
            pg_advisory_xact_lock_shared(hashtextextended(user_id, 2)) \
        FROM sessions WHERE id = $1) \
    SELECT 1 FROM turns, clients, users WHERE clients.id = turns.client_id AND users.id = turns.user_id \
    FOR SHARE OF clients, users";

/// The same as the beginning of a statement that changes the session whose identifier stands between the two parts. By `clients` and
/// `users` that statement means the rows as they are once they are shared, however long that took; all else it sees as it was
/// when it began.
const SHARED_STANDING: [&str; 2] = [
    "WITH turns AS MATERIALIZED ( \
        SELECT client_id, user_id, pg_advisory_xact_lock_shared(hashtextextended(client_id, 1)), \
            pg_advisory_xact_lock_shared(hashtextextended(user_id, 2)) \
        FROM sessions WHERE id = ",
    "), clients AS MATERIALIZED ( \
        SELECT clients.id, clients.disabled_at, clients.watermark_at FROM turns, clients \
        WHERE clients.id = turns.client_id FOR SHARE OF clients), \
    users AS MATERIALIZED ( \
        SELECT users.id, users.disabled_at, users.watermark_at FROM turns, users \
        WHERE users.id = turns.user_id FOR SHARE OF users) ",
];

const SHARE_USER_AND_CLIENT: &str = "\
    WITH turns AS MATERIALIZED ( \
        SELECT pg_advisory_xact_lock_shared(hashtextextended($2, 1)), \
            pg_advisory_xact_lock_shared(hashtextextended($1, 2))) \
    SELECT 1 FROM turns, clients, users WHERE users.id = $1 AND clients.id = $2 FOR SHARE OF clients, users";

const HOLD_USER: &str = "\
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1, 2))) \
    SELECT 1 FROM turn, users WHERE id = $1 FOR UPDATE OF users";

const HOLD_CLIENT: &str = "\
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1, 1))) \
    SELECT 1 FROM turn, clients WHERE id = $1 FOR UPDATE OF clients";

const HOLD_CLIENTS: &str = "\
    WITH turns AS MATERIALIZED ( \
        SELECT pg_advisory_xact_lock(hashtextextended(id, 1)) FROM (SELECT id FROM clients ORDER BY id) AS all_clients) \
    SELECT 1 FROM clients WHERE (SELECT COUNT(*) FROM turns) >= 0 ORDER BY id FOR UPDATE OF clients";

/// A statement that changes one session, while nobody ends its user, its client, or everybody.
pub(crate) struct BesideEnds<'a, T> {
    session: &'a str,
    statement: T,
}

/// Runs such a statement, which is [`fixed!`](crate::fixed::fixed) and ends with RETURNING.
macro_rules! beside_ends {
    ($connection:expr, $session:expr, $statement:expr) => {
        match &mut *$connection {
            $crate::connection::AnyConnection::Sqlite(connection) => {
                $crate::fixed::fixed!(connection, $statement)
            }
            $crate::connection::AnyConnection::Postgres(connection) => {
                $crate::fixed::fixed!(connection, $crate::lock::BesideEnds::new($session, $statement))
            }
        }
    };
}

pub(crate) use beside_ends;

/// Less is no time to speak of, since instants of ends are rounded up to the second.
const NOTABLE: Duration = Duration::from_millis(100);

impl Write<'_> {
    /// Nobody ends the session's user, its client, or everybody, until this transaction is over.
    pub(crate) fn share_standing(&mut self, id: &SessionId) -> Result<(), StoreError> {
        self.lock(SHARE_STANDING, &[&id.0])
    }

    /// The same before there is a session.
    pub(crate) fn share_user_and_client(
        &mut self,
        user_id: &UserId,
        client_id: &ClientId,
    ) -> Result<(), StoreError> {
        self.lock(SHARE_USER_AND_CLIENT, &[&user_id.0, &client_id.0])
    }

    pub(crate) fn hold_user(&mut self, id: &UserId) -> Result<(), StoreError> {
        self.lock(HOLD_USER, &[&id.0])
    }

    pub(crate) fn hold_client(&mut self, id: &ClientId) -> Result<(), StoreError> {
        self.lock(HOLD_CLIENT, &[&id.0])
    }

    /// All of them: what everybody's sessions depend on, and less in demand than one row that every refresh would share.
    pub(crate) fn hold_clients(&mut self) -> Result<(), StoreError> {
        self.lock(HOLD_CLIENTS, &[])
    }

    pub(crate) fn hold_authority(&mut self) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM authority FOR UPDATE", &[])
    }

    pub(crate) fn hold_feed(&mut self) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM feed FOR UPDATE", &[])
    }

    pub(crate) fn hold_key_use(&mut self, kid: &str) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM key_uses WHERE kid = $1 FOR UPDATE", &[kid])
    }

    /// Also a counter that is not there yet: there is one afterwards that has counted nothing, and is forgotten at once.
    pub(crate) fn hold_counter(&mut self, key: &str) -> Result<(), StoreError> {
        const HOLD: &str = "INSERT INTO throttles (key, failures, expires_at) VALUES ($1, 0, 0) \
                            ON CONFLICT (key) DO UPDATE SET key = excluded.key";
        self.lock(HOLD, &[key])
    }

    fn lock(&mut self, sql: &str, parameters: &[&str]) -> Result<(), StoreError> {
        let AnyConnection::Postgres(connection) = &mut *self.connection else { return Ok(()) };
        let query = diesel::sql_query(sql).into_boxed();
        let query = parameters.iter().fold(query, |query, parameter| query.bind::<Text, _>(*parameter));
        let since = std::time::Instant::now();
        query.execute(connection)?;
        self.waited += Some(since.elapsed()).filter(|waited| *waited >= NOTABLE).unwrap_or_default();
        Ok(())
    }
}

impl<'a, T> BesideEnds<'a, T> {
    pub(crate) fn new(session: &'a SessionId, statement: T) -> Self {
        Self { session: &session.0, statement }
    }
}

impl<T: Query> Query for BesideEnds<'_, T> {
    type SqlType = T::SqlType;
}

impl<T: QueryFragment<Pg>> QueryFragment<Pg> for BesideEnds<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let [begin, end] = SHARED_STANDING;
        out.push_sql(begin);
        out.push_bind_param::<Text, _>(self.session)?;
        out.push_sql(end);
        self.statement.walk_ast(out)
    }
}
