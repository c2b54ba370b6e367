use std::time::Duration;

use attesto_core::{Guards, Instant, KeyRecord, KeyTable, Line};
use attesto_keyring::Keyring;
use attesto_server::config::Settings;
use attesto_store::Store;

use super::finding::{Finding, Findings};
use crate::context::{go_by_clock_of, now};
use crate::failure::Failure;
use crate::output::{in_words, until};

/// A schedule that acts every second is late by then.
const LATE: Duration = Duration::from_secs(60 * 60);

/// Opens the keys and looks at each line of them; gives them.
pub async fn examine(store: &Store, settings: &Settings, findings: &mut Findings) -> Option<Keyring> {
    // What is late is late by the clock that servers go by.
    let _ = go_by_clock_of(store).await;
    match open(store, settings, findings).await {
        Ok(keyring) => Some(keyring),
        Err(failure) => {
            let remedy = "see docs/operations/keys.md; until then no server starts";
            findings.add(Finding::wrong("keys", failure.to_string(), remedy));
            None
        }
    }
}

async fn open(store: &Store, settings: &Settings, findings: &mut Findings) -> Result<Keyring, Failure> {
    let keeper = attesto_server::keeper(store, settings).await?;
    let (keyring, facts) = keeper.read().await?;
    let table = keyring.table();
    findings.add(Finding::ok("keys", format!("{} keys open, and prove to be genuine", table.keys.len())));
    let guards = Guards { policy: keeper.policy(), facts: &facts };
    for line in table.active_lines() {
        findings.add(line_of(table, line, guards, now()));
    }
    findings.add(algorithms(&keyring, settings));
    Ok(keyring)
}

/// The active key, its successor, and when it takes over.
fn line_of(table: &KeyTable, line: Line, guards: Guards<'_>, now: Instant) -> Finding {
    let check = "key line";
    let Some(active) = table.active(line) else {
        return Finding::wrong(check, format!("{line}: no key is active"), "attesto keys list");
    };
    let age = in_words(now.since(active.active_at.unwrap_or(active.created_at)));
    let options = format!("--purpose {} --algorithm {}", line.purpose.as_str(), line.algorithm.as_str());
    if table.staged(line).is_empty() {
        return Finding::wrong(
            check,
            format!("{line}: {} has signed for {age}, and no key is staged to follow it", short(active)),
            format!("attesto keys stage {options}, or start a server, which does it"),
        );
    }
    match table.rotation_at(line, guards) {
        Some(at) if now.since(at) > LATE => Finding::wrong(
            check,
            format!(
                "{line}: {} has signed for {age}; the next key is late by {}",
                short(active),
                in_words(now.since(at))
            ),
            "start a server, or see its log: the schedule is stuck",
        ),
        Some(at) if at <= now => Finding::ok(
            check,
            format!("{line}: {} has signed for {age}; the next key is due now", short(active)),
        ),
        Some(at) => Finding::ok(
            check,
            format!(
                "{line}: {} has signed for {age}; the next key takes over at {}",
                short(active),
                until(at, now)
            ),
        ),
        None => Finding::warning(
            check,
            format!(
                "{line}: {} has signed for {age}; when the next key takes over is not known",
                short(active)
            ),
            "attesto keys plan",
        ),
    }
}

/// A server does not start if nothing signs with what is configured.
fn algorithms(keyring: &Keyring, settings: &Settings) -> Finding {
    let check = "algorithms";
    let configured = [settings.policy.access_token_algorithm, settings.policy.refresh_token_algorithm];
    match configured.into_iter().find(|algorithm| keyring.active(Line::of_tokens(*algorithm)).is_none()) {
        None => Finding::ok(check, "every configured algorithm has a key that signs".to_owned()),
        Some(algorithm) => Finding::wrong(
            check,
            format!("{algorithm} is configured, and no {algorithm} key signs: no server starts"),
            format!(
                "attesto keys stage --algorithm {algorithm}, then attesto keys rotate --algorithm {algorithm}"
            ),
        ),
    }
}

fn short(key: &KeyRecord) -> String {
    key.kid.chars().take(8).collect()
}
