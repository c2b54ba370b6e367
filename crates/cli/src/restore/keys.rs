use std::collections::BTreeSet;

use attesto_core::{KeyState, KeyTable};
use clap::Args;
use serde::Serialize;

/// Above [`Row::cells`].
pub const HEADER: [&str; 4] = ["key", "in the copy", "before the restore", "now"];

/// Where a key stands, and where it stood.
#[derive(Serialize)]
pub struct Row {
    kid: String,
    copied: Option<&'static str>,
    before: Option<&'static str>,
    now: Option<&'static str>,
}

impl Row {
    /// For people.
    pub fn cells(&self) -> Vec<String> {
        let cell = |state: Option<&'static str>| state.unwrap_or("unknown").to_owned();
        vec![self.kid.clone(), cell(self.copied), cell(self.before), cell(self.now)]
    }
}

/// What leaked since the copy, as the operator knows it.
#[derive(Args)]
pub struct Leaks {
    /// A key that was declared leaked since the copy; may be repeated
    #[arg(long, value_name = "KID", allow_hyphen_values = true, value_parser = kid)]
    pub compromised: Vec<String>,
    /// No key was declared leaked since the copy: where the database that was there cannot say so itself
    #[arg(long, conflicts_with = "compromised")]
    nothing_leaked: bool,
}

impl Leaks {
    /// Whether anything was said of them.
    pub fn are_named(&self) -> bool {
        self.nothing_leaked || !self.compromised.is_empty()
    }
}

/// Of a key that is only known by its name, so nothing but its form tells a slip: the base64url of a SHA-256 (RFC 7638).
fn kid(text: &str) -> Result<String, &'static str> {
    let is_thumbprint = text.len() == 43
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_thumbprint { Ok(text.to_owned()) } else { Err("a kid has 43 letters, digits, - and _") }
}

/// All keys that any of the tables knows.
pub fn rows(copied: &KeyTable, before: Option<&KeyTable>, now: &KeyTable) -> Vec<Row> {
    let tables = [Some(copied), before, Some(now)];
    let kids: BTreeSet<_> = tables.iter().flatten().flat_map(|table| kids(table)).collect();
    let row = |kid: &str| Row {
        kid: kid.to_owned(),
        copied: state(Some(copied), kid),
        before: state(before, kid),
        now: state(Some(now), kid),
    };
    kids.into_iter().map(row).collect()
}

/// Those included that are only known to have leaked.
fn kids(table: &KeyTable) -> impl Iterator<Item = &str> {
    let leaked = table.ledger.iter().flat_map(|ledger| &ledger.compromised);
    table.keys.iter().map(|key| &key.kid).chain(leaked).map(String::as_str)
}

fn state(table: Option<&KeyTable>, kid: &str) -> Option<&'static str> {
    let table = table?;
    let has_leaked =
        || table.ledger.as_ref().is_some_and(|ledger| ledger.compromised.iter().any(|it| it == kid));
    let state = table.find(kid).map(|key| key.state);
    state.or_else(|| has_leaked().then_some(KeyState::Compromised)).map(KeyState::as_str)
}
