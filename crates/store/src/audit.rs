use attesto_core::{Actor, AuditEvent, AuditFilter, Event, Instant, RecordedEvent};
use diesel::prelude::*;

use crate::error::StoreError;
use crate::schema::audit_events;
use crate::store::{Read, Write};

/// What happened, without the place in the chain.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
pub(crate) struct EventRow {
    id: i64,
    at: i64,
    event: String,
    actor: String,
    request_id: Option<String>,
    user_id: Option<String>,
    client_id: Option<String>,
    session_id: Option<String>,
    reason: Option<String>,
    kid: Option<String>,
}

impl Read<'_> {
    /// The newest events that fit, newest first.
    pub fn list_audit_events(
        &mut self,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let AuditFilter { event, user_id, client_id, session_id, kid, since, until } = filter;
        let mut query = audit_events::table
            .select(EventRow::as_select())
            .order((audit_events::at.desc(), audit_events::id.desc()))
            .limit(limit)
            .into_boxed();
        if let Some(event) = event.map(Event::as_str) {
            query = query.filter(audit_events::event.eq(event));
        }
        if let Some(id) = user_id {
            query = query.filter(audit_events::user_id.eq(&id.0));
        }
        if let Some(id) = client_id {
            query = query.filter(audit_events::client_id.eq(&id.0));
        }
        if let Some(id) = session_id {
            query = query.filter(audit_events::session_id.eq(&id.0));
        }
        if let Some(kid) = kid {
            query = query.filter(audit_events::kid.eq(kid));
        }
        if let Some(since) = since.map(Instant::as_millis) {
            query = query.filter(audit_events::at.ge(since));
        }
        if let Some(until) = until.map(Instant::as_millis) {
            query = query.filter(audit_events::at.lt(until));
        }
        let rows: Vec<EventRow> = query.load(self.connection)?;
        Ok(rows.into_iter().map(RecordedEvent::from).collect())
    }
}

impl Write<'_> {
    /// Records what happened, in the transaction in which it happens. It gets its place in the chain afterwards.
    pub fn record(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.record_at(event, None)
    }

    /// The same in a place that is taken from it again.
    pub(crate) fn record_at(&mut self, event: &AuditEvent, seq: Option<i64>) -> Result<(), StoreError> {
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
                audit_events::chain_seq.eq(seq),
            ))
            .execute(self.connection)?;
        Ok(())
    }
}

impl From<EventRow> for RecordedEvent {
    fn from(row: EventRow) -> Self {
        let EventRow { id, at, event, actor, request_id, user_id, client_id, session_id, reason, kid } = row;
        Self { id, at, event, actor, request_id, user_id, client_id, session_id, reason, kid }
    }
}
