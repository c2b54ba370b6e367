use attesto_core::{Instant, KeyRefusal, KeyState, KeyStep, Purpose};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{in_words, rfc3339};

/// Why keys did not change, and what would be right instead.
pub fn failure(refusal: &KeyRefusal, now: Instant) -> Failure {
    match refusal {
        KeyRefusal::Unknown { kid } => {
            Failure::new(format!("there is no key {kid:?}; `attesto keys list` shows all"))
        }
        KeyRefusal::NoStagedKey { line } => {
            let purpose = match line.purpose {
                Purpose::Token => String::new(),
                Purpose::Feed => format!(" --purpose {}", line.purpose.as_str()),
            };
            Failure::new(format!(
                "no {line} key is staged, so none can take over; `attesto keys stage --algorithm {}{purpose}` makes one",
                line.algorithm
            ))
        }
        KeyRefusal::WrongState { kid, state, step } => Failure::new(format!(
            "key {kid} cannot be {}: it is {}; {}",
            past(*step),
            state.as_str(),
            instead(*step, *state)
        )),
        KeyRefusal::TooEarly { kid, step, until } => Failure::temporary(format!(
            "key {kid} cannot be {} before {} (in {}): it waits for {}; nothing was changed",
            past(*step),
            rfc3339(*until),
            in_words(until.since(now)),
            waits_for(*step)
        )),
    }
}

/// For programs: what a refusal that time heals waits for.
pub fn waiting(refusal: &KeyRefusal) -> Option<Value> {
    let KeyRefusal::TooEarly { kid, step, until } = refusal else { return None };
    Some(json!({"done": false, "kid": kid, "waits_for": waits_for(*step), "until": rfc3339(*until)}))
}

fn waits_for(step: KeyStep) -> &'static str {
    match step {
        KeyStep::Retire => {
            "the last token that it signed to expire, and for verifiers to ask for a new key set"
        }
        KeyStep::Destroy => "every server to let go of it",
        KeyStep::Stage | KeyStep::Promote | KeyStep::Demote | KeyStep::Compromise => {
            "every cache and verifier to ask for the key set that has it"
        }
    }
}

fn past(step: KeyStep) -> &'static str {
    match step {
        KeyStep::Stage => "staged",
        KeyStep::Promote => "promoted",
        KeyStep::Demote => "demoted",
        KeyStep::Retire => "retired",
        KeyStep::Destroy => "destroyed",
        KeyStep::Compromise => "declared leaked",
    }
}

fn instead(step: KeyStep, state: KeyState) -> &'static str {
    match (step, state) {
        (KeyStep::Promote, KeyState::Active) => "it signs already",
        (KeyStep::Promote, _) => "keys never move back: name a staged one, or none at all",
        (KeyStep::Retire, KeyState::Active) => {
            "let another one sign first with `attesto keys rotate`, or declare it leaked with `attesto keys compromise`"
        }
        (KeyStep::Retire, _) => "it left the JWK Set already",
        (KeyStep::Destroy, KeyState::Staged | KeyState::Retiring) => {
            "take it out of the JWK Set first with `attesto keys retire`"
        }
        (KeyStep::Destroy, KeyState::Active) => "let another one sign first with `attesto keys rotate`",
        (KeyStep::Destroy, _) => "its private half is erased already",
        (KeyStep::Compromise, _) => "nothing trusts it already",
        (KeyStep::Stage | KeyStep::Demote, _) => "`attesto keys list` shows what may happen to it",
    }
}
