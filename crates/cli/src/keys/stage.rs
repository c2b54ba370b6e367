use attesto_core::{KeyState, KeyTable};
use clap::Args;
use serde_json::json;

use super::choice::Which;
use super::operation::Operation;
use super::reason::Why;
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, rfc3339, until};

/// Make a key, and publish it
///
/// There is always a staged key, so this is for one more, and for the first key of another algorithm.
#[derive(Args)]
pub struct Stage {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    why: Why,
}

impl Stage {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, facts) = operation.read().await?;
        let line = self.which.line(keyring.table(), operation.settings.policy.access_token_algorithm);
        let change = operation.change(&self.why, |_, _, _| Ok(KeyTable::stage(line))).await?;
        let Some(new) = change.rows.iter().find(|key| key.state == KeyState::Staged) else {
            return Err(Failure::new("no key was staged"));
        };
        let promotable_at = operation.guards(&facts).promotable_at(new);
        let remark =
            promotable_at.map(|at| format!(" It may sign from {} on.", until(at, now()))).unwrap_or_default();
        let more = json!({"promotable_at": promotable_at.map(rfc3339)});
        operation.answer(&new.kid, &change, &remark, more).await
    }
}
