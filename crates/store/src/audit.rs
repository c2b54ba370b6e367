use attesto_core::{Actor, AuditEvent, Instant};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::schema::audit_events;
use crate::store::{Read, Write};

/// A row of the audit table, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct RecordedEvent {
    /// Its number; rises.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// The request, as in the log.
    pub request_id: Option<String>,
    /// The user concerned.
    pub user_id: Option<String>,
    /// The client concerned.
    pub client_id: Option<String>,
    /// The session concerned.
    pub session_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The signing key concerned.
    pub kid: Option<String>,
}

impl Read<'_> {
    /// The newest events, newest first.
    pub fn list_audit_events(&mut self, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(audit_events::table
            .order((audit_events::at.desc(), audit_events::id.desc()))
            .limit(limit)
            .load(self.connection)?)
    }
}

impl Write<'_> {
    /// Records what happened, in the transaction in which it happens.
    pub fn record(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        let (actor, request_id) = match &event.actor {
            Actor::Operator(name) => (format!("operator:{name}"), None),
            Actor::Request { address, request_id } => (format!("address:{address}"), Some(request_id)),
            Actor::Server => ("server".to_owned(), None),
        };
        diesel::insert_into(audit_events::table)
            .values((
                audit_events::at.eq(event.at.as_millis()),
                audit_events::event.eq(event.event.as_str()),
                audit_events::actor.eq(actor),
                audit_events::request_id.eq(request_id),
                audit_events::user_id.eq(event.user_id.as_ref().map(|id| &id.0)),
                audit_events::client_id.eq(event.client_id.as_ref().map(|id| &id.0)),
                audit_events::session_id.eq(event.session_id.as_ref().map(|id| &id.0)),
                audit_events::reason.eq(event.reason.as_deref()),
                audit_events::kid.eq(event.kid.as_deref()),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// Removes up to `batch` events from before `instant`; says how many.
    pub fn purge_audit_events(&mut self, before: Instant, batch: i64) -> Result<usize, StoreError> {
        Ok(on_either!(self.connection, |connection| {
            let old = audit_events::table
                .filter(audit_events::at.lt(before.as_millis()))
                .select(audit_events::id)
                .limit(batch)
                .into_boxed();
            diesel::delete(audit_events::table.filter(audit_events::id.eq_any(old))).execute(connection)
        })?)
    }
}
