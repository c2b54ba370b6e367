use clap::Args;
use serde_json::json;

use super::check::check;
use super::noted::Noted;
use crate::context::Place;
use crate::failure::Failure;
use crate::output::Output;

const AFTER_HELP: &str = "\
Proves: no row that is sealed was altered, removed or moved since by anybody who has the database alone.
Does not prove: anything about rows that are not sealed yet, which servers do every 10 seconds; anything against somebody who
has a key-encryption key as well, and can write the chain anew; nor that the database, or only its tables of the audit, is no
older state of itself: whoever kept the row of audit_head of yesterday can put it back, and remove or alter what is newer.
Against the last two, note what this prints, outside of the database, and compare with --expect.";

/// Prove that the audit says what it said: no row altered, missing or out of place
///
/// Needs the key-encryption keys. Exits with 65 if something is wrong, and names the first row where it is; with 78 if a
/// key-encryption key is missing; with 1 if it cannot be found out, as of a noted place whose row was removed as too old.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Verify {
    #[command(flatten)]
    noted: Noted,
}

impl Verify {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        let store = Place::open(&settings).await?;
        let chain = attesto_server::audit_chain(&store, &settings).await?;
        match check(&store, &chain, &self.noted).await? {
            Ok(whole) => output.done(&whole.sentences(), &whole.to_json()),
            Err(broken) => {
                if output.json {
                    let object = json!({"intact": false, "seq": broken.seq, "problem": broken.problem});
                    output.done("", &object)?;
                }
                Err(Failure::broken(format!("the audit is broken: {}", broken.problem)))
            }
        }
    }
}
