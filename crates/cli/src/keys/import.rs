use std::fs::File;
use std::io::{Read as _, stdin};
use std::path::{Path, PathBuf};
use std::time::Duration;

use attesto_core::Instant;
use attesto_keyring::{ImportAs, ImportedKey};
use chrono::DateTime;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::operation::Operation;
use super::reason::Why;
use crate::context::{Place, now, operator};
use crate::failure::Failure;
use crate::output::{Output, rfc3339, until};

/// Take in an RSA key that was made elsewhere
///
/// Its file is PEM, PKCS#8 or PKCS#1, of 2048 to 4096 bits: the `SIGNING_KEY` of SimpleJWT, for example.
#[derive(Args)]
#[group(id = "role", required = true, multiple = false, args = ["staged", "verify_only"])]
pub struct Import {
    /// The file of the private key; - reads standard input
    file: PathBuf,
    /// It may sign one day
    #[arg(long)]
    staged: bool,
    /// It is published for the tokens that it signed elsewhere, and its private half is not kept
    #[arg(long, requires = "until")]
    verify_only: bool,
    /// When the last token that it signed expires, as 2026-01-31T12:00:00Z; it leaves the JWK Set after that
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "verify_only", conflicts_with = "staged")]
    until: Option<Instant>,
    #[command(flatten)]
    why: Why,
}

/// Nobody gives an access token a longer life; a slip in the year does.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// One byte more than a private key may have.
const MOST_BYTES: u64 = 64 * 1024 + 1;

impl Import {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let role = self.role(now())?;
        let operation = Operation::begin(place, output).await?;
        let key = read(&self.file)?;
        let kid = key.public_jwk().kid.clone();
        let bits = key.bits();
        let change = operation.keeper.import(key, role, &operator(), &self.why.reason).await?;
        let (_, facts) = operation.read().await?;
        let guards = operation.guards(&facts);
        let row = change.rows.first();
        let promotable_at = row.and_then(|row| guards.promotable_at(row));
        let withdrawable_at = row.and_then(|row| guards.withdrawable_at(row));
        let remark = match (promotable_at, withdrawable_at) {
            (Some(at), _) => format!(" It may sign from {} on.", until(at, now())),
            (None, Some(at)) => {
                format!(" It stays in the JWK Set until {}; its private half was not kept.", until(at, now()))
            }
            (None, None) => String::new(),
        };
        let more = json!({
            "bits": bits,
            "promotable_at": promotable_at.map(rfc3339),
            "withdrawable_at": withdrawable_at.map(rfc3339),
        });
        operation.answer(&kid, &change, &remark, more).await
    }

    fn role(&self, now: Instant) -> Result<ImportAs, Failure> {
        let Some(until) = self.until else { return Ok(ImportAs::Staged) };
        if until <= now {
            return Err(Failure::new(format!(
                "--until {} has passed: all its tokens have expired, and nobody needs the key; nothing was changed",
                rfc3339(until)
            )));
        }
        if until.since(now) > LONGEST {
            return Err(Failure::new(format!(
                "--until {} is more than 400 days ahead; name the instant when the last of its tokens expires; nothing was changed",
                rfc3339(until)
            )));
        }
        Ok(ImportAs::VerifyOnly { until })
    }
}

fn read(path: &Path) -> Result<ImportedKey, Failure> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let refused =
        |cause: &dyn std::fmt::Display| Failure::new(format!("{name}: {cause}; nothing was changed"));
    // Made large enough at once: a vector that grows leaves copies behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(2 * 64 * 1024));
    let read = if is_stdin {
        stdin().lock().take(MOST_BYTES).read_to_end(&mut pem)
    } else {
        File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut pem))
    };
    read.map_err(|cause| refused(&cause))?;
    ImportedKey::parse(&pem).map_err(|cause| refused(&cause))
}

fn instant(text: &str) -> Result<Instant, &'static str> {
    let parsed = DateTime::parse_from_rfc3339(text);
    let parsed = parsed.map_err(|_| "is no instant; write it like 2026-01-31T12:00:00Z")?;
    Ok(Instant::from_millis(parsed.timestamp_millis()))
}
