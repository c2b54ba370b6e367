use std::fmt;
use std::time::{Duration, Instant};

use attesto_core::{Actor, AuditEvent, Event, UserId};
use attesto_server::Clock;
use attesto_store::Store;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::authority::{Authority, USER_ID};
use crate::table::verdict;
use crate::{Outcome, progress};

/// Durable revocations in a second.
const GOAL_PER_SECOND: f64 = 1_000.0;

/// How many revoke at the same time.
const TASKS: usize = 16;

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    revocations: u32,
    per_second: f64,
    goal_per_second: f64,
    meets_goal: bool,
}

/// Revokes as fast as the store takes it, each in a transaction of its own.
pub async fn measure(quick: bool) -> Outcome<Report> {
    let length = Duration::from_secs(if quick { 2 } else { 10 });
    progress(&format!("feed: revoking for {} s", length.as_secs()));
    let authority = Authority::set_up("").await?;
    let store = Store::open(&authority.settings.database)?;
    let begun_at = Instant::now();
    let mut tasks: JoinSet<Outcome<u32>> =
        (0..TASKS).map(|_| revoke_until(store.clone(), begun_at + length)).collect();
    let mut revocations = 0;
    while let Some(task) = tasks.join_next().await {
        revocations += task??;
    }
    let per_second = f64::from(revocations) / begun_at.elapsed().as_secs_f64();
    Ok(Report {
        revocations,
        per_second,
        goal_per_second: GOAL_PER_SECOND,
        meets_goal: per_second >= GOAL_PER_SECOND,
    })
}

async fn revoke_until(store: Store, end: Instant) -> Outcome<u32> {
    let mut revocations = 0;
    while Instant::now() < end {
        let id = UserId(USER_ID.to_owned());
        let now = Clock::system().now();
        let event = AuditEvent::new(Event::UserSessionsRevoked, Actor::Operator("bench".to_owned()), now);
        store.write(move |tx| tx.revoke_user_sessions(&id, &event)).await?;
        revocations += 1;
    }
    Ok(revocations)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Feed: SQLite takes {:.0} durable revocations a second; goal {}: {}",
            self.per_second,
            self.goal_per_second,
            verdict(self.meets_goal)
        )
    }
}
