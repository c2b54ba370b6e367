use attesto_core::Instant;
use attesto_store::RecordedEvent;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, cell, rfc3339};

/// What happened
#[derive(Subcommand)]
pub enum Audit {
    /// List the newest events, newest first
    List(List),
}

/// How many events.
#[derive(Args)]
pub struct List {
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
}

#[derive(Serialize)]
struct Shown {
    id: i64,
    at: String,
    event: String,
    actor: String,
    user_id: Option<String>,
    client_id: Option<String>,
    sid: Option<String>,
    kid: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
}

impl Audit {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let Self::List(List { limit }) = self;
        let events = place.store().await?.read(move |tx| tx.list_audit_events(limit)).await?;
        let events: Vec<Shown> = events.into_iter().map(Shown::from).collect();
        output.list(
            &events,
            &["at", "event", "actor", "user", "client", "session", "key", "reason"],
            |event| {
                vec![
                    event.at.clone(),
                    event.event.clone(),
                    event.actor.clone(),
                    cell(event.user_id.as_ref()),
                    cell(event.client_id.as_ref()),
                    cell(event.sid.as_ref()),
                    cell(event.kid.as_ref()),
                    cell(event.reason.as_ref()),
                ]
            },
        )
    }
}

impl From<RecordedEvent> for Shown {
    fn from(event: RecordedEvent) -> Self {
        Self {
            id: event.id,
            at: rfc3339(Instant::from_millis(event.at)),
            event: event.event,
            actor: event.actor,
            user_id: event.user_id,
            client_id: event.client_id,
            sid: event.session_id,
            kid: event.kid,
            reason: event.reason,
            request_id: event.request_id,
        }
    }
}
