use attesto_core::{Event, SealedAuditHead};
use attesto_keyring::AuditHeadError;
use attesto_server::{AuditChain, AuditError};
use attesto_store::Store;
use clap::Args;
use serde_json::json;

use super::check::check;
use super::noted::Noted;
use crate::context::{Place, event};
use crate::failure::Failure;
use crate::input;
use crate::keys::reason::Why;
use crate::output::{Output, rfc3339};

/// Begin another chain, in which every row is sealed anew as it stands now
///
/// For after it was found out why the chain is broken, its head is gone, or its key-encryption key is lost. What was altered or
/// removed stays so, and nothing shows it any more but the event that this leaves: it says what was found and where the chain
/// before ended. Export what there is before. Servers that run go on with the new chain; they need a while to seal all rows.
/// Interrupted, it has to be run again.
#[derive(Args)]
pub struct Renew {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    why: Why,
}

impl Renew {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        let store = Place::open(&settings).await?;
        let chain = attesto_server::audit_chain(&store, &settings).await?;
        let found = found(&store, &chain).await?;
        if !self.yes {
            input::confirm(&format!(
                "This gives up the chain of the audit ({found}), and begins another one of the rows as they stand now."
            ))?;
        }
        let before = store.read(|tx| tx.find_audit_head()).await?;
        let note = format!("{}; {found}; {}", self.why.reason, ended(before.as_ref()));
        let head = chain.renew(event(Event::AuditRenewed).note(&note)).await?;
        let (begun_at, behind) = (rfc3339(head.begun_at), head.last.seq);
        let sentence = format!(
            "the chain of {begun_at} has begun, behind row {behind}; running servers seal all rows anew, 20,000 in ten seconds"
        );
        output.done(
            &sentence,
            &json!({"done": sentence, "begun_at": begun_at, "behind": behind, "found": found}),
        )
    }
}

/// What is wrong with the chain, for the audit: without what to do about it.
async fn found(store: &Store, chain: &AuditChain) -> Result<String, Failure> {
    let problem = match chain.head().await {
        Err(AuditError::Head(lost @ AuditHeadError::KekMissing { .. })) => lost.to_string(),
        _ => match check(store, chain, &Noted::default()).await? {
            Ok(_) => "the chain was whole".to_owned(),
            Err(broken) => broken.problem,
        },
    };
    Ok(problem.split(';').next().unwrap_or_default().to_owned())
}

fn ended(before: Option<&SealedAuditHead>) -> String {
    match before {
        None => "nothing said where it ended".to_owned(),
        Some(SealedAuditHead { head, .. }) => {
            format!("it ended at {}:{}", head.last.seq, head.last.hash)
        }
    }
}
