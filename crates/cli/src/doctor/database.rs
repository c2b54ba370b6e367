use attesto_server::config::Settings;
use attesto_store::{OpenError, Store};

use super::finding::{Finding, Findings};

/// Opens the database, if it can be worked on.
pub async fn open(settings: &Settings, findings: &mut Findings) -> Option<Store> {
    match try_open(settings, findings).await {
        Ok(store) => Some(store),
        Err(error) => {
            let remedy = match &error {
                OpenError::Absent(_) => "attesto init",
                OpenError::SchemaTooOld(_) => "attesto migrate",
                OpenError::BinaryTooOld { .. } => "install that version of attesto",
                _ => "see the setting `database` in docs/configuration.md",
            };
            findings.add(Finding::wrong("database", error.to_string(), remedy));
            None
        }
    }
}

async fn try_open(settings: &Settings, findings: &mut Findings) -> Result<Store, OpenError> {
    let store = Store::open(&settings.database)?;
    let version = store.version().await?;
    findings.add(Finding::ok("database", format!("{} ({version}) answers", settings.database)));
    store.require_current().await?;
    findings.add(Finding::ok("schema", "up to date".to_owned()));
    Ok(store)
}
