use attesto_core::{Guards, Instant, KeyFacts, KeyRecord, KeyState, KeyTable, Purpose};
use attesto_server::config::Settings;
use attesto_store::Store;
use clap::Args;
use serde::Serialize;

use super::choice::{purposes, states};
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, cell, in_words, rfc3339};

/// Which keys to show.
#[derive(Args)]
pub struct List {
    /// Only keys that sign this
    #[arg(long, value_parser = purposes())]
    purpose: Option<Purpose>,
    /// Only keys that stand here
    #[arg(long, value_parser = states())]
    state: Option<KeyState>,
}

#[derive(Serialize)]
struct Shown {
    kid: String,
    algorithm: &'static str,
    purpose: &'static str,
    state: &'static str,
    created_at: String,
    published_at: Option<String>,
    active_at: Option<String>,
    demoted_at: Option<String>,
    promotable_at: Option<String>,
    withdrawable_at: Option<String>,
    retired_at: Option<String>,
    destroyed_at: Option<String>,
    compromised_at: Option<String>,
    latest_exp: Option<String>,
    tokens_signed: i64,
    kek_id: String,
    #[serde(skip)]
    age: String,
}

impl List {
    /// Shows keys. Rows that do not prove to be genuine are shown as they stand, and the answer is a failure.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        let store = Place::open(&settings).await?;
        match genuine(&store, &settings).await {
            Ok((table, facts)) => self.show(table, &facts, &settings, output),
            Err(failure) => {
                if let Ok((table, facts)) =
                    store.read(|tx| Ok((tx.find_key_table()?, tx.find_key_facts()?))).await
                {
                    self.show(table, &facts, &settings, output)?;
                }
                Err(failure)
            }
        }
    }

    fn show(
        &self,
        mut table: KeyTable,
        facts: &KeyFacts,
        settings: &Settings,
        output: Output,
    ) -> Result<(), Failure> {
        table.keys.retain(|key| self.asks_for(key));
        show(table, facts, settings, output)
    }

    fn asks_for(&self, key: &KeyRecord) -> bool {
        self.purpose.is_none_or(|purpose| purpose == key.purpose)
            && self.state.is_none_or(|state| state == key.state)
    }
}

async fn genuine(store: &Store, settings: &Settings) -> Result<(KeyTable, KeyFacts), Failure> {
    let (keyring, facts) = attesto_server::keeper(store, settings).await?.read().await?;
    Ok((keyring.table().clone(), facts))
}

fn show(mut table: KeyTable, facts: &KeyFacts, settings: &Settings, output: Output) -> Result<(), Failure> {
    // Within a purpose they stay in their order, the oldest first.
    table.keys.sort_by_key(|key| key.purpose);
    let (guards, now) = (Guards { policy: &settings.keys, facts }, now());
    let keys: Vec<_> = table.keys.into_iter().map(|key| Shown::new(key, guards, now)).collect();
    let header = [
        "kid",
        "algorithm",
        "purpose",
        "state",
        "age",
        "published since",
        "may be promoted at",
        "may be withdrawn at",
        "tokens signed",
    ];
    output.list(&keys, &header, |key| {
        vec![
            key.kid.clone(),
            key.algorithm.to_owned(),
            key.purpose.to_owned(),
            key.state.to_owned(),
            key.age.clone(),
            cell(key.published_at.as_ref()),
            cell(key.promotable_at.as_ref()),
            cell(key.withdrawable_at.as_ref()),
            key.tokens_signed.to_string(),
        ]
    })
}

impl Shown {
    fn new(key: KeyRecord, guards: Guards<'_>, now: Instant) -> Self {
        let used = guards.facts.of(&key.kid);
        Self {
            promotable_at: guards.promotable_at(&key).map(rfc3339),
            withdrawable_at: guards.withdrawable_at(&key).map(rfc3339),
            algorithm: key.algorithm.as_str(),
            purpose: key.purpose.as_str(),
            state: key.state.as_str(),
            created_at: rfc3339(key.created_at),
            published_at: key.published_at.map(rfc3339),
            active_at: key.active_at.map(rfc3339),
            demoted_at: key.demoted_at.map(rfc3339),
            retired_at: key.retired_at.map(rfc3339),
            destroyed_at: key.destroyed_at.map(rfc3339),
            compromised_at: key.compromised_at.map(rfc3339),
            latest_exp: used.latest_exp.map(rfc3339),
            tokens_signed: used.signatures,
            age: in_words(now.since(key.created_at)),
            kid: key.kid,
            kek_id: key.kek_id.0,
        }
    }
}
