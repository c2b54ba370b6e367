//! Signing keys: their states, the guards between them, what is due.

mod algorithm;
#[cfg(test)]
mod fixture;
mod guard;
mod moves;
mod plan;
mod record;
mod server_report;
mod table;

pub use algorithm::{Line, SigningAlgorithm, UnknownSigningAlgorithm};
pub use guard::{Guards, KeyPolicy};
pub use moves::{Haste, KeyMoves, KeyRefusal, KeyStep};
pub use plan::{LEAD, PlannedStep};
pub use record::{KekId, KeyRecord, KeyState, Purpose};
pub use server_report::ServerReport;
pub use table::{KeyChange, KeyFacts, KeyLedger, KeyTable, KeyUse};
