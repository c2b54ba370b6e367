mod record;
mod renew;
mod show;
mod tail;

use attesto_store::{FeedHead, Read, StoreError};
use clap::Subcommand;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// What is revoked
#[derive(Subcommand)]
pub enum Feed {
    /// Show where the revocation feed stands: its records by kind, and how far the running servers are
    Show,
    /// List the newest records, the newest last
    Tail(tail::Tail),
    /// Begin another feed, and end all sessions: after the database was restored from a copy
    Renew(renew::Renew),
}

impl Feed {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        match self {
            Self::Show => show::run(place, output).await,
            Self::Tail(tail) => tail.run(place, output).await,
            Self::Renew(renew) => renew.run(place, output).await,
        }
    }
}

/// Reads something of the feed, and where it stands.
fn with_head<T>(
    tx: &mut Read<'_>,
    read: impl FnOnce(&mut Read<'_>) -> Result<T, StoreError>,
) -> Result<Option<(FeedHead, T)>, StoreError> {
    let Some(head) = tx.find_feed_head()? else { return Ok(None) };
    Ok(Some((head, read(tx)?)))
}

/// Between a migration and the start that made it.
fn not_begun() -> Failure {
    Failure::new("the revocation feed has not begun; the next start of the server begins it")
}
