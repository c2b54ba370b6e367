//! `attesto doctor`: looks at everything around an authority, says what is wrong, and what to type against it.

mod audit;
mod clock;
mod database;
mod files;
mod finding;
mod issuer;
mod keys;
mod proxies;
mod published;
mod servers;
mod tls;

use attesto_keyring::Keyring;
use clap::Args;
use serde_json::json;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, print_json, say};
use finding::{Finding, Findings, Verdict};

/// Check configuration, files, database, keys, servers, audit, clock and issuer
///
/// Changes nothing and needs no running server. Each finding is ok, a warning or wrong, with what it means and what to do.
/// Exits with 1 if anything is wrong; warnings are allowed.
#[derive(Args)]
pub struct Doctor {
    /// Ask nothing over the network but the database
    #[arg(long)]
    offline: bool,
}

impl Doctor {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let findings = self.examine(place).await;
        let wrong = findings.of(Verdict::Wrong);
        if output.json {
            print_json(&json!({"healthy": wrong == 0, "findings": findings.all()}))?;
        } else {
            say(&findings.table())?;
        }
        if wrong == 0 {
            return Ok(());
        }
        let things = if wrong == 1 { "thing is" } else { "things are" };
        Err(Failure::new(format!("{wrong} {things} wrong")))
    }

    /// In the order in which one thing rests on the other. What cannot be looked at is left out: what is in its way is named.
    async fn examine(&self, place: &Place) -> Findings {
        let mut findings = Findings::default();
        let settings = match place.settings() {
            Ok(settings) => settings,
            Err(failure) => {
                let remedy = "correct it; docs/configuration.md lists the settings";
                findings.add(Finding::wrong("configuration", failure.to_string(), remedy));
                return findings;
            }
        };
        findings
            .add(Finding::ok("configuration", format!("it can be read; the issuer is {}", settings.issuer)));
        files::examine(place.file().as_deref(), &settings, &mut findings);
        tls::examine(&settings, &mut findings);
        findings.add(proxies::examine(&settings));
        let store = database::open(&settings, &mut findings).await;
        let (mut keyring, mut runs) = (None, false);
        if let Some(store) = &store {
            clock::examine(store, &mut findings).await;
            keyring = keys::examine(store, &settings, &mut findings).await;
            let version = keyring.as_ref().map(Keyring::version);
            runs = servers::examine(store, version, &mut findings).await;
            audit::examine(store, &settings, &mut findings).await;
        }
        if !self.offline {
            issuer::examine(&settings, keyring.as_ref().map(Keyring::table), runs, &mut findings).await;
        }
        findings
    }
}
