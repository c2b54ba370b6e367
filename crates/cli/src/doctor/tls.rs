use std::time::Duration;

use attesto_core::Instant;
use attesto_server::config::Settings;
use attesto_server::{Clock, Tls, TlsError};

use super::finding::{Finding, Findings};
use crate::output::{rfc3339, until};

/// A certificate that is renewed by itself has been by then.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Opens certificate and key of the server as it does itself.
pub fn examine(settings: &Settings, findings: &mut Findings) {
    let Some(files) = settings.tls.clone() else { return };
    findings.add(match Tls::open(files) {
        Ok(tls) => valid(&tls, Clock::system().now()),
        Err(error) => {
            let remedy = remedy(&error);
            Finding::wrong("TLS", format!("{error}: no server starts"), remedy)
        }
    });
}

fn valid(tls: &Tls, now: Instant) -> Finding {
    let check = "TLS";
    let seconds = i64::try_from(tls.not_after()).unwrap_or(i64::MAX);
    let end = Instant::from_seconds(seconds);
    let remedy =
        "replace the files of tls_certificate and tls_key: servers that run take them without a restart";
    if end <= now {
        Finding::wrong(check, format!("the certificate has expired at {}", rfc3339(end)), remedy)
    } else if end.since(now) < SOON {
        Finding::warning(check, format!("the certificate expires at {}", until(end, now)), remedy)
    } else {
        Finding::ok(check, format!("the key fits the certificate, which is good until {}", rfc3339(end)))
    }
}

fn remedy(error: &TlsError) -> &'static str {
    match error {
        TlsError::Unreadable { .. } => "put the file there, and let this user read it",
        TlsError::Exposed { remedy, .. } => remedy,
        TlsError::NoCertificate { .. }
        | TlsError::NoKey { .. }
        | TlsError::OtherKey { .. }
        | TlsError::Unusable(_) => "see docs/operations/install.md",
    }
}
