use attesto_core::{Guards, Haste, Instant, KeyFacts, KeyRecord, KeyState, KeyTable};
use clap::Args;
use serde_json::{Value, json};

use super::choice::{Which, find};
use super::operation::Operation;
use super::reason::Why;
use crate::context::now;
use crate::failure::Failure;
use crate::output::{rfc3339, until};

/// Which key is to sign.
#[derive(Args)]
pub struct Next {
    #[command(flatten)]
    which: Which,
    /// The staged key that is to sign [default: the one that is published for longest]
    #[arg(long, value_name = "KID", allow_hyphen_values = true, conflicts_with_all = ["algorithm", "purpose"])]
    kid: Option<String>,
}

impl Next {
    /// Lets it sign, and says so.
    pub async fn promote(&self, operation: &Operation, haste: Haste, why: &Why) -> Result<(), Failure> {
        let (keyring, facts) = operation.read().await?;
        let line = self.which.line(keyring.table(), operation.settings.policy.access_token_algorithm);
        let kid = match &self.kid {
            Some(typed) => Some(find(keyring.table(), typed)?),
            // Chosen once: of two commands at the same time the second must not promote the key after it.
            None => keyring.table().staged(line).first().copied(),
        };
        let kid = kid.map(|key| key.kid.as_str());
        let decide = |table: &KeyTable, guards: Guards<'_>, now| table.promote(line, kid, haste, guards, now);
        let change = operation.change(why, decide).await?;
        let Some(promoted) = signing(&change.rows) else { return Err(Failure::new("no key was promoted")) };
        let (remark, more) = unknown_until(operation, &facts, promoted);
        operation.answer(&promoted.kid, &change, &remark, more).await
    }
}

/// Of what was written, the key that signs from now on.
pub fn signing(rows: &[KeyRecord]) -> Option<&KeyRecord> {
    rows.iter().find(|key| key.state == KeyState::Active)
}

/// What a promotion ahead of its guard costs: for people, and for programs.
pub fn unknown_until(operation: &Operation, facts: &KeyFacts, promoted: &KeyRecord) -> (String, Value) {
    let now = now();
    let unknown_until = known_at(operation, facts, promoted).filter(|at| now < *at);
    let remark = unknown_until.map(|at| {
        format!(
            " Verifiers that do not ask for a key that they do not know may refuse its tokens until {}.",
            until(at, now)
        )
    });
    (remark.unwrap_or_default(), json!({"unknown_until": unknown_until.map(rfc3339)}))
}

fn known_at(operation: &Operation, facts: &KeyFacts, promoted: &KeyRecord) -> Option<Instant> {
    let as_it_was = KeyRecord { state: KeyState::Staged, ..promoted.clone() };
    operation.guards(facts).promotable_at(&as_it_was)
}
