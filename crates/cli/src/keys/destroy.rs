use clap::Args;
use serde_json::json;

use super::choice::find;
use super::operation::Operation;
use super::reason::Why;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// Erase the private half of a key that is out of the JWK Set
///
/// Of a retired key once every server has let go of it (exit code 75 before that), which servers do by themselves; of a
/// compromised one when nobody needs it for an investigation any more. Backups of the database keep their copies.
#[derive(Args)]
pub struct Destroy {
    /// A retired key, or a compromised one
    #[arg(allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    why: Why,
}

impl Destroy {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, _) = operation.read().await?;
        let kid = &find(keyring.table(), &self.kid)?.kid;
        let change =
            operation.change(&self.why, |table, guards, now| table.destroy(kid, guards, now)).await?;
        operation.answer(kid, &change, "", json!({})).await
    }
}
