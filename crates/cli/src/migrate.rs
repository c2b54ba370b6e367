use attesto_store::{ServerLock, Store};
use serde_json::json;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

/// `attesto migrate`: the schema of this program, so that servers of it can start.
pub async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let database = place.settings()?.database;
    let store = Store::open(&database)?;
    let _lock = ServerLock::acquire(&database)?;
    let migrations = store.migrate().await?;
    let sentence = match migrations.as_slice() {
        [] => format!("the schema of {database} is up to date; nothing was changed"),
        some => format!("the schema of {database} is up to date now (migrations run: {})", some.join(", ")),
    };
    output.done(&sentence, &json!({ "migrations": migrations }))
}
