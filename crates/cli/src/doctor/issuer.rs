use std::sync::Arc;
use std::time::Duration;

use attesto_core::{Instant, KeyTable};
use attesto_server::config::Settings;
use chrono::DateTime;
use serde_json::Value;
use tokio::task::spawn_blocking;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::finding::{Finding, Findings};
use super::{clock, published};
use crate::context::now;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Of an answer, more is of no use.
const MAX_BYTES: u64 = 1024 * 1024;

/// `Date` has whole seconds, and the answer takes its time.
const EXACT: Duration = Duration::from_secs(5);

/// A JSON answer, and what the header `Date` says.
struct Answer {
    json: Value,
    date: Option<Instant>,
}

/// Asks the issuer for what clients ask it for, and compares with what is in the database.
pub async fn examine(settings: &Settings, keys: Option<&KeyTable>, runs: bool, findings: &mut Findings) {
    let url = settings.issuer.clone();
    let asked = spawn_blocking(move || {
        let agent = agent(&url);
        let ask = |document: &str| ask(&agent, &format!("{url}/.well-known/{document}"));
        (ask("jwks.json"), ask("oauth-authorization-server"))
    });
    let Ok((set, metadata)) = asked.await else { return };
    match set {
        Err(cause) => return findings.add(unreachable(settings, &cause, runs)),
        Ok(set) => {
            let how = if settings.issuer.starts_with("https:") {
                "over TLS"
            } else {
                "without TLS, on this machine"
            };
            findings.add(Finding::ok("issuer", format!("{} answers {how}", settings.issuer)));
            if let Some(date) = set.date {
                findings.add(clock::compare("issuer's clock", "the issuer", date, EXACT));
            }
            if let Some(keys) = keys {
                findings.add(published::compare(&set.json, keys, settings.jwks.lifetime(), now()));
            }
        }
    }
    findings.add(match metadata {
        Ok(metadata) => named(&metadata.json, &settings.issuer),
        Err(cause) => Finding::wrong("metadata", cause, "let the proxy pass on everything below the issuer"),
    });
}

fn unreachable(settings: &Settings, cause: &str, runs: bool) -> Finding {
    let says = format!("{} does not answer: {cause}", settings.issuer);
    if runs {
        Finding::wrong(
            "issuer",
            says,
            "a server runs: check its address, the proxy, the name and the certificate",
        )
    } else {
        Finding::warning("issuer", says, "attesto serve; or --offline, if it cannot be reached from here")
    }
}

fn named(metadata: &Value, issuer: &str) -> Finding {
    match metadata["issuer"].as_str() {
        Some(named) if named == issuer => {
            Finding::ok("metadata", "the issuer calls itself as configured".to_owned())
        }
        named => Finding::wrong(
            "metadata",
            format!("the issuer calls itself {:?}, and is configured as {issuer}", named.unwrap_or_default()),
            "another authority answers there: check the address, and the proxy",
        ),
    }
}

fn ask(agent: &Agent, url: &str) -> Result<Answer, String> {
    let mut response = agent.get(url).call().map_err(|cause| cause.to_string())?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("{url} is answered with status {status}"));
    }
    let date = response.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let date = date.map(|date| Instant::from_millis(date.timestamp_millis()));
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_BYTES)
        .read_to_vec()
        .map_err(|cause| cause.to_string())?;
    let json = serde_json::from_slice(&body)
        .map_err(|_| format!("{url} is answered with something else than JSON"))?;
    Ok(Answer { json, date })
}

fn agent(url: &str) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder()
        .user_agent(concat!("attesto-doctor/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false);
    // Plain http does not leave the machine, so that no proxy is asked for it.
    if url.starts_with("http:") { config.proxy(None).build().new_agent() } else { config.build().new_agent() }
}
