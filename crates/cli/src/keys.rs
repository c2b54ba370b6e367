use attesto_core::KeyRecord;
use clap::Subcommand;
use serde::Serialize;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, cell, rfc3339};

/// The keys that sign
#[derive(Subcommand)]
pub enum Keys {
    /// List all keys
    List,
}

#[derive(Serialize)]
struct Shown {
    kid: String,
    algorithm: String,
    purpose: &'static str,
    state: &'static str,
    created_at: String,
    published_at: Option<String>,
    active_at: Option<String>,
    demoted_at: Option<String>,
    kek_id: String,
}

impl Keys {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let Self::List = self;
        let table = place.store().await?.read(|tx| tx.find_key_table()).await?;
        let keys: Vec<Shown> = table.keys.into_iter().map(Shown::from).collect();
        output.list(&keys, &["kid", "algorithm", "purpose", "state", "published", "active since"], |key| {
            vec![
                key.kid.clone(),
                key.algorithm.clone(),
                key.purpose.to_owned(),
                key.state.to_owned(),
                cell(key.published_at.as_ref()),
                cell(key.active_at.as_ref()),
            ]
        })
    }
}

impl From<KeyRecord> for Shown {
    fn from(key: KeyRecord) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm.to_string(),
            purpose: key.purpose.as_str(),
            state: key.state.as_str(),
            created_at: rfc3339(key.created_at),
            published_at: key.published_at.map(rfc3339),
            active_at: key.active_at.map(rfc3339),
            demoted_at: key.demoted_at.map(rfc3339),
            kek_id: key.kek_id.0,
        }
    }
}
