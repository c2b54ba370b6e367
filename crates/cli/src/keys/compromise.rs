use attesto_core::{Guards, Instant, KeyRecord, Purpose};
use clap::Args;
use serde_json::{Value, json};

use super::choice::find;
use super::operation::Operation;
use super::promotion::{signing, unknown_until};
use super::reason::Why;
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, rfc3339, until};

/// Declare a key leaked: another one signs, nothing trusts this one
///
/// At once and together: it leaves the JWK Set, a staged key signs if it did, and services that follow the revocation
/// feed learn of it. No session ends: a refresh token that it signed still counts if it is the very one that was given
/// out.
#[derive(Args)]
pub struct Compromise {
    /// The key that leaked
    #[arg(allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    why: Why,
}

impl Compromise {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let operation = Operation::begin(place, output).await?;
        let (keyring, facts) = operation.read().await?;
        let leaked = find(keyring.table(), &self.kid)?;
        let change = operation
            .change(&self.why, |table, guards, now| table.compromise(&leaked.kid, guards, now))
            .await?;
        let (accepted, mut more) = accepted_until(leaked, operation.guards(&facts), now());
        let mut remark = accepted;
        if let Some(promoted) = signing(&change.rows) {
            let (unknown, and) = unknown_until(&operation, &facts, promoted);
            remark += &unknown;
            more["unknown_until"] = and["unknown_until"].clone();
        }
        operation.answer(&leaked.kid, &change, &remark, more).await
    }
}

/// What the leak still means for services that check by themselves: for people, and for programs.
fn accepted_until(leaked: &KeyRecord, guards: Guards<'_>, now: Instant) -> (String, Value) {
    let latest_exp = guards.facts.of(&leaked.kid).latest_exp.filter(|exp| now < *exp);
    let accepted_until = leaked.state.is_published().then(|| guards.forgotten_at(now));
    let signed = match leaked.purpose {
        Purpose::Token => "access tokens",
        Purpose::Feed => "answers of the revocation feed",
    };
    let accepted = match accepted_until {
        Some(at) => format!(
            " No session ended. Services that follow the revocation feed refuse {signed} under it within seconds; those \
             that only hold the old JWK Set accept them until they ask again, by {}, forged ones as well;",
            until(at, now)
        ),
        None => " No session ended. No service holds it any more;".to_owned(),
    };
    let expired = match latest_exp {
        Some(exp) => format!(" {signed} that the authority signed with it expire by {}.", until(exp, now)),
        None => format!(" all {signed} that the authority signed with it have expired."),
    };
    let more = json!({
        "accepted_until": accepted_until.map(rfc3339),
        "latest_exp": guards.facts.of(&leaked.kid).latest_exp.map(rfc3339),
    });
    (accepted + &expired, more)
}
