use std::io::{Write as _, stderr};

use attesto_core::{AuditFilter, ClientId, Event, SessionId, UserId};
use attesto_store::{Read, Store, StoreError};
use clap::Args;

use super::Shown;
use super::moment::Moment;
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, cell};

/// Which events, and how many.
#[derive(Args)]
pub struct List {
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// Only events of this kind, such as `signed_in`
    #[arg(long, value_name = "EVENT")]
    event: Option<Event>,
    /// Only what concerns this user: a name, or the id of somebody who is no more
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only what concerns this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only what concerns this session
    #[arg(long, value_name = "SID")]
    session: Option<String>,
    /// Only what concerns this signing key
    #[arg(long, value_name = "KID")]
    key: Option<String>,
    /// Only from this time on: `2026-11-29T12:00:00Z`, `2026-11-29`, or how long ago, such as `2h`
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,
    /// Only from before this time
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
}

impl List {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        let user = self.user.clone();
        let events = store
            .read(move |tx| {
                let limit = self.limit;
                let filter = self.filter(tx)?;
                tx.list_audit_events(&filter, limit)
            })
            .await?;
        if let Some(user) = user.filter(|_| events.is_empty()) {
            say_if_unknown(&store, user).await?;
        }
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

    fn filter(self, tx: &mut Read<'_>) -> Result<AuditFilter, StoreError> {
        Ok(AuditFilter {
            event: self.event,
            user_id: self.user.map(|user| user_id(tx, user)).transpose()?,
            client_id: self.client.map(ClientId),
            session_id: self.session.map(SessionId),
            kid: self.key,
            since: self.since.map(|since| since.instant(now())),
            until: self.until.map(|until| until.instant(now())),
        })
    }
}

/// An empty list does not tell a slip from somebody to whom nothing has happened.
async fn say_if_unknown(store: &Store, user: String) -> Result<(), Failure> {
    if store.read(move |tx| tx.find_user_by_name(&user)).await?.is_none() {
        // Whoever watches may leave.
        let _ = writeln!(stderr(), "no user has this name; taken for an id, it fits no event");
    }
    Ok(())
}

/// Of the user with this name; else the text is an id.
fn user_id(tx: &mut Read<'_>, user: String) -> Result<UserId, StoreError> {
    let found = tx.find_user_by_name(&user)?;
    Ok(found.map_or(UserId(user), |found| found.id))
}
