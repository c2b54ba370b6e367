use attesto_core::Haste;
use clap::Args;

use super::operation::Operation;
use super::promotion::Next;
use super::reason::Why;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// Let the staged key sign, once every verifier can know it
///
/// Before that nothing changes: the exit code is 75, and what it waits for and until when is said. Afterwards another
/// key is staged.
#[derive(Args)]
pub struct Rotate {
    #[command(flatten)]
    next: Next,
    #[command(flatten)]
    why: Why,
}

impl Rotate {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        self.next.promote(&operation, Haste::Guarded, &self.why).await
    }
}
