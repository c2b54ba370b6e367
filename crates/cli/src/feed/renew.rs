use attesto_core::{Event, Feed};
use attesto_keyring::random_salt;
use clap::Args;
use serde_json::json;

use crate::context::{Place, event};
use crate::failure::Failure;
use crate::input;
use crate::keys::reason::Why;
use crate::output::{Output, rfc3339};

/// Begin another feed, and end all sessions
///
/// After a copy of the database was put back, `attesto restore` does this and what else is needed. A restored database has
/// forgotten the newest records of its feed, and services that have them would pass over the next ones. They take another
/// feed over whole, and forget nothing. Sessions that ended since the copy are alive in the restored database, so all of
/// them end.
#[derive(Args)]
pub struct Renew {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    why: Why,
}

impl Renew {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        if !self.yes {
            input::confirm("This begins another feed, and signs everybody out.")?;
        }
        let (salt, why) = (random_salt(), self.why.reason);
        let renewed = store.write(move |tx| {
            let event = event(Event::FeedRenewed).note(&why);
            tx.renew_feed(&Feed { epoch: event.at, salt }, &event)
        });
        let epoch = rfc3339(renewed.await?);
        let sentence = format!("the feed of {epoch} has begun; all sessions of everybody are over");
        output.done(&sentence, &json!({"epoch": epoch, "done": sentence}))
    }
}
