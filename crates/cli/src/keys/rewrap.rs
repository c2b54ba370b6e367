use std::io::{Write as _, stderr};
use std::time::Duration;

use attesto_core::{KekId, ServerReport};
use attesto_keyring::Keyring;
use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::operation::Operation;
use super::reason::Why;
use super::servers::Servers;
use crate::context::{Place, operator};
use crate::failure::Failure;
use crate::output::{Output, in_words, presentable, say};

/// Bring all keys under the first key-encryption key, while servers run
///
/// Waits until every running server has that key-encryption key, then renews the seal of one key after the other, and
/// proves at the end that nothing needs another one. Interrupted, it goes on when it is run again.
#[derive(Args)]
pub struct Rewrap {
    /// How long to wait for servers that do not have the key-encryption key yet
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    why: Why,
}

impl Rewrap {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, _) = operation.read().await?;
        let first = operation.keeper.keks().ids().swap_remove(0);
        let of_keys = steps(&keyring, &first);
        let steps = of_keys + usize::from(audit_waits(&operation, &first).await?);
        if steps > 0 {
            self.wait_for_servers(&operation, &first).await?;
            self.rewrap(&operation, of_keys).await?;
        }
        attesto_server::audit_chain(&operation.store, &operation.settings).await?.rewrap().await?;
        let (keys, version) = prove(&operation).await?;
        let file = operation.settings.key_encryption_keys[0].display();
        if !output.json {
            let changed = if steps > 0 { "" } else { " Nothing had to be changed." };
            say(&format!(
                "All {keys} keys are under key-encryption key {}.{changed}\n\
                 Proved: they open with {file} alone. No other file of key_encryption_keys is needed any more, but for backups of \
                 the database.",
                first.0
            ))?;
        }
        let servers = Servers::wait_for(&operation.keeper, version).await?;
        let object = json!({
            "done": true, "kek_id": first.0, "keys": keys, "steps": steps, "servers": servers.to_json(),
        });
        output.done(&servers.sentence(), &object)
    }

    /// A server without the key-encryption key could not read a key that is sealed under it.
    async fn wait_for_servers(&self, operation: &Operation, first: &KekId) -> Result<(), Failure> {
        const AGAIN: Duration = Duration::from_millis(250);
        let deadline = Instant::now() + self.timeout;
        let mut said = String::new();
        loop {
            let mut without = operation.keeper.live_servers().await?;
            without.retain(|server| !server.kek_ids.contains(first));
            if without.is_empty() {
                return Ok(());
            }
            let line = format!("{} without key-encryption key {}", names(&without), first.0);
            if Instant::now() >= deadline {
                return Err(Failure::temporary(format!(
                    "{line} after {}; put its file first in their key_encryption_keys (or ATTESTO_KEY_ENCRYPTION_KEYS, which \
                     wins), restart them, and run this again",
                    in_words(self.timeout)
                )));
            }
            if line != said {
                progress(&format!("waiting: {line}"));
                said = line;
            }
            sleep(AGAIN).await;
        }
    }

    async fn rewrap(&self, operation: &Operation, steps: usize) -> Result<(), Failure> {
        let mut step = 0;
        while operation.keeper.rewrap_next(&operator(), &self.why.reason).await?.is_some() {
            step += 1;
            // A key that was made meanwhile is one more.
            progress(&format!("{step} of {}", steps.max(step)));
        }
        Ok(())
    }
}

/// Whoever watches may leave: the work goes on.
fn progress(line: &str) {
    let _ = writeln!(stderr(), "{}", presentable(line));
}

/// How many changes are left: the ledger, and every key.
fn steps(keyring: &Keyring, first: &KekId) -> usize {
    let ledger = keyring.table().ledger.as_ref().is_some_and(|ledger| ledger.kek_id != *first);
    keyring.rows_to_rewrap() + usize::from(ledger)
}

/// Whether the chain of the audit is under another key-encryption key.
async fn audit_waits(operation: &Operation, first: &KekId) -> Result<bool, Failure> {
    let head = operation.store.read(|tx| tx.find_audit_head()).await?;
    Ok(head.is_some_and(|sealed| sealed.kek_id != *first))
}

/// Opens everything with the first key-encryption key alone. How many keys there are, in which version.
async fn prove(operation: &Operation) -> Result<(usize, i64), Failure> {
    let mut settings = operation.settings.clone();
    settings.key_encryption_keys.truncate(1);
    let keeper = attesto_server::keeper(&operation.store, &settings).await?;
    let (keyring, _) = keeper.read().await?;
    attesto_server::audit_chain(&operation.store, &settings).await?.head().await?;
    Ok((keyring.table().keys.len(), keyring.version()))
}

fn names(servers: &[ServerReport]) -> String {
    let ids: Vec<_> = servers.iter().map(|server| server.id.as_str()).collect();
    match ids.as_slice() {
        [one] => format!("server {one} runs"),
        several => format!("{} servers ({}) run", several.len(), several.join(", ")),
    }
}
