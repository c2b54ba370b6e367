use std::collections::BTreeSet;

use attesto_core::{KeyState, KeyTable};
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
