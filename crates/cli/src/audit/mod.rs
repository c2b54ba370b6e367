//! `attesto audit`: what happened, and whether the table still says what it said.

mod broken;
mod check;
mod export;
mod list;
mod moment;
mod noted;
mod progress;
mod renew;
mod verify;
mod whole;

use attesto_core::{Instant, RecordedEvent};
use clap::Subcommand;
use serde::Serialize;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, rfc3339};

/// What happened
#[derive(Subcommand)]
pub enum Audit {
    /// List the newest events, newest first
    List(list::List),
    Verify(verify::Verify),
    Export(export::Export),
    Renew(renew::Renew),
}

/// An event, for programs.
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
        match self {
            Self::List(list) => list.run(place, output).await,
            Self::Verify(verify) => verify.run(place, output).await,
            Self::Export(export) => export.run(place, output).await,
            Self::Renew(renew) => renew.run(place, output).await,
        }
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
