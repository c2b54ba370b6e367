use clap::Args;
use serde_json::json;

use super::choice::find;
use super::operation::Operation;
use super::reason::Why;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// Take a key out of the JWK Set, once nobody needs it there
///
/// A retiring key waits for the last token that it signed (exit code 75 before that); a staged one, which signed
/// nothing, goes at once. Servers do this by themselves when it is time.
#[derive(Args)]
pub struct Retire {
    /// A retiring key, or a staged one
    #[arg(allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    why: Why,
}

impl Retire {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, _) = operation.read().await?;
        let kid = &find(keyring.table(), &self.kid)?.kid;
        let change = operation.change(&self.why, |table, guards, now| table.retire(kid, guards, now)).await?;
        operation.answer(kid, &change, "", json!({})).await
    }
}
