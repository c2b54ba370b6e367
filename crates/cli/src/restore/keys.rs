use std::collections::BTreeSet;

use attesto_core::KeyTable;
use attesto_server::config::Settings;
use attesto_store::{OpenError, Store};
use serde::Serialize;

use crate::failure::Failure;

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

/// The keys of the database that is about to be replaced, proved; `None` if there is none. One that cannot be read is said on
/// standard error: what leaked since the copy is then the operator's to name.
pub async fn before(settings: &Settings) -> Result<Option<KeyTable>, Failure> {
    match read(settings).await {
        Ok(table) => Ok(table),
        Err(cause) => {
            eprintln!(
                "attesto: the database that is replaced cannot be read ({cause}): name the keys that were declared leaked since \
                 the copy with --compromised"
            );
            Ok(None)
        }
    }
}

async fn read(settings: &Settings) -> Result<Option<KeyTable>, Failure> {
    let store = match Store::open(&settings.database) {
        Err(OpenError::Absent(_)) => return Ok(None),
        opened => opened?,
    };
    let keeper = attesto_server::keeper(&store, settings).await?;
    Ok(Some(keeper.read().await?.0.table().clone()))
}

/// All keys that any of the tables knows.
pub fn rows(copied: &KeyTable, before: Option<&KeyTable>, now: &KeyTable) -> Vec<Row> {
    let tables = [Some(copied), before, Some(now)];
    let kids: BTreeSet<_> = tables.iter().flatten().flat_map(|table| kids(table)).collect();
    let state = |table: Option<&KeyTable>, kid: &str| table?.find(kid).map(|key| key.state.as_str());
    let row = |kid: &str| Row {
        kid: kid.to_owned(),
        copied: state(Some(copied), kid),
        before: state(before, kid),
        now: state(Some(now), kid),
    };
    kids.into_iter().map(row).collect()
}

fn kids(table: &KeyTable) -> impl Iterator<Item = &str> {
    table.keys.iter().map(|key| &*key.kid)
}
