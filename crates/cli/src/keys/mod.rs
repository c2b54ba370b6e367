//! `attesto keys`: what an operator does with the keys that sign.

mod choice;
mod compromise;
mod destroy;
mod export_public;
mod import;
mod list;
mod new_kek;
mod operation;
mod picture;
mod plan;
mod promote;
mod promotion;
pub mod reason;
mod refusal;
mod retire;
mod rewrap;
mod rotate;
mod servers;
mod stage;

use clap::Subcommand;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

const AFTER_HELP: &str = "\
A running server stages, rotates, retires and destroys keys by itself; the commands are for an operator who wants it now,
and for the days when a key leaked. Every change is in the audit. A KID may be cut to its first 6 characters or more, if
no other key begins with them. docs/operations/keys.md is the runbook.";

/// The keys that sign
#[derive(Subcommand)]
#[command(after_help = AFTER_HELP)]
pub enum Keys {
    /// Show the keys: where each stands, and from when on it may move
    List(list::List),
    /// Show the timetable of the next rotation
    Plan,
    /// Make a key, and publish it for the rotation after next
    Stage(stage::Stage),
    /// Let the staged key sign, once every verifier can know it
    Rotate(rotate::Rotate),
    /// Let the staged key sign at once, in an emergency
    Promote(promote::Promote),
    /// Declare a key leaked: another one signs, nothing trusts this one
    Compromise(compromise::Compromise),
    /// Take a key out of the JWK Set, once nobody needs it there
    Retire(retire::Retire),
    /// Erase the private half of a key that is out of the JWK Set
    Destroy(destroy::Destroy),
    /// Take in an RSA key that was made elsewhere
    Import(import::Import),
    /// Print the public half of a key
    ExportPublic(export_public::ExportPublic),
    /// Make the file of a new key-encryption key
    NewKek(new_kek::NewKek),
    /// Bring all keys under the first key-encryption key, while servers run
    Rewrap(rewrap::Rewrap),
}

impl Keys {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(place, output).await,
            Self::Plan => plan::run(place, output).await,
            Self::Stage(stage) => stage.run(place, output).await,
            Self::Rotate(rotate) => rotate.run(place, output).await,
            Self::Promote(promote) => promote.run(place, output).await,
            Self::Compromise(compromise) => compromise.run(place, output).await,
            Self::Retire(retire) => retire.run(place, output).await,
            Self::Destroy(destroy) => destroy.run(place, output).await,
            Self::Import(import) => import.run(place, output).await,
            Self::ExportPublic(export) => export.run(place, output).await,
            Self::NewKek(new_kek) => new_kek.run(output),
            Self::Rewrap(rewrap) => rewrap.run(place, output).await,
        }
    }
}
