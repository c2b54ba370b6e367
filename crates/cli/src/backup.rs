use std::path::PathBuf;

use attesto_store::Store;
use clap::Args;
use serde_json::json;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// Copy the database to a new file, while the server goes on
///
/// For SQLite. The copy is what the database is at one moment, and only its owner can read it. The key-encryption key is not in it:
/// keep that elsewhere. docs/operations/backup.md says how a copy is put back, and how PostgreSQL is copied.
#[derive(Args)]
pub struct Backup {
    /// The copy; must not exist
    file: PathBuf,
}

impl Backup {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        // Whatever its schema: before an upgrade a copy is the only way back.
        let store = Store::open(&settings.database)?;
        store.back_up(&self.file).await.map_err(|cause| Failure::new(cause.to_string()))?;
        let file = self.file.display().to_string();
        let sentence = format!("{} was copied to {file}", settings.database);
        output.done(&sentence, &json!({ "file": file }))
    }
}
