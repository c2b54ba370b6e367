use attesto_core::Haste;
use clap::Args;

use super::operation::Operation;
use super::promotion::Next;
use super::reason::Why;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// Let the staged key sign at once, in an emergency
///
/// Verifiers that do not ask again for a key that they do not know refuse good tokens for a while; until when is said. If the
/// active key leaked, `attesto keys compromise` does this and more.
#[derive(Args)]
pub struct Promote {
    /// Wait for nobody: required, since `attesto keys rotate` is the command for every other day
    #[arg(long)]
    emergency: bool,
    #[command(flatten)]
    next: Next,
    #[command(flatten)]
    why: Why,
}

impl Promote {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        if !self.emergency {
            return Err(Failure::new(
                "this would not wait until verifiers know the key, and they could refuse good tokens; `attesto keys rotate` \
                 waits, and `attesto keys promote --emergency` does not; nothing was changed",
            ));
        }
        let operation = Operation::begin(place, output).await?;
        self.next.promote(&operation, Haste::Emergency, &self.why).await
    }
}
