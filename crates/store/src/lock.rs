//! What a decision rests on stays as it was read until the decision is written.
//!
//! SQLite lets one write at a time, so that there is nothing to do. On PostgreSQL others write beside this one, and each
//! statement sees what they have committed by then. Whoever changes a row that others decide by, or counts up from what
//! it read, holds the row before it reads. Whoever only decides by rows shares them with others that do.
//!
//! The order is always the same: servers, throttle counters, feed, clients, authority, users, sessions, key uses, and
//! last the counter of the feed. Whoever meets somebody else all the same is run again.

use attesto_core::{ClientId, SessionId, UserId};
use diesel::RunQueryDsl;
use diesel::sql_types::Text;

use crate::connection::AnyConnection;
use crate::error::StoreError;
use crate::store::Write;

impl Write<'_> {
    /// Nobody ends the session's user, its client, or everybody, until this transaction is over.
    pub(crate) fn share_standing(&mut self, id: &SessionId) -> Result<(), StoreError> {
        const SHARE: &str = "SELECT 1 FROM sessions, clients, users \
                             WHERE sessions.id = $1 AND clients.id = sessions.client_id AND users.id = sessions.user_id \
                             FOR SHARE OF clients, users";
        self.lock(SHARE, &[&id.0])
    }

    /// The same before there is a session.
    pub(crate) fn share_user_and_client(
        &mut self,
        user_id: &UserId,
        client_id: &ClientId,
    ) -> Result<(), StoreError> {
        const SHARE: &str = "SELECT 1 FROM clients, users WHERE users.id = $1 AND clients.id = $2 FOR SHARE";
        self.lock(SHARE, &[&user_id.0, &client_id.0])
    }

    pub(crate) fn hold_user(&mut self, id: &UserId) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", &[&id.0])
    }

    pub(crate) fn hold_client(&mut self, id: &ClientId) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM clients WHERE id = $1 FOR UPDATE", &[&id.0])
    }

    /// All of them: what everybody's sessions depend on, and less in demand than one row that every refresh would share.
    pub(crate) fn hold_clients(&mut self) -> Result<(), StoreError> {
        self.lock("SELECT 1 FROM clients ORDER BY id FOR UPDATE", &[])
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
        query.execute(connection)?;
        Ok(())
    }
}
