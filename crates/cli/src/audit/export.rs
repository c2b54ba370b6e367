use std::fs::{OpenOptions, remove_file};
use std::io::{self, BufWriter, ErrorKind, Write, stdout};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use attesto_core::{ChainedEvent, Digest, SealedAuditHead};
use attesto_store::{Store, StoreError};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::Shown;
use super::moment::Moment;
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::Output;

/// Rows per query.
const PAGE: i64 = 1_000;

/// Write the sealed events as JSON lines, oldest first, with their places in the chain
///
/// `docs/operations/audit.md` says how anybody checks the hashes. Events that are not sealed yet are left out: a running
/// server seals every 10 seconds.
#[derive(Args)]
pub struct Export {
    /// A new file, for its owner only; else standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only what stands behind this place: the `seq` of the last line of an export before
    #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Only from this time on: `2026-11-29T12:00:00Z`, `2026-11-29`, or how long ago, such as `2h`
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,
    /// Only from before this time
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
}

/// A line.
#[derive(Serialize)]
struct Line {
    seq: i64,
    /// The hash of the place before.
    previous: Option<String>,
    hash: Option<String>,
    /// `at` as it is hashed.
    at_ms: i64,
    #[serde(flatten)]
    event: Shown,
}

impl Export {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        let Some(file) = &self.output else {
            return match self.write(&store, &mut BufWriter::new(stdout().lock())).await {
                // Nobody reads any more.
                Err(Stopped::Write(cause)) if cause.kind() == ErrorKind::BrokenPipe => Ok(()),
                outcome => Ok(outcome.map(drop)?),
            };
        };
        let count = self.write_to(&store, file).await?;
        let sentence = format!("{count} events are in {}.", file.display());
        output.done(&sentence, &json!({"events": count, "file": file.display().to_string()}))
    }

    async fn write_to(&self, store: &Store, path: &Path) -> Result<u64, Failure> {
        let unwritable = |cause: io::Error| match cause.kind() {
            ErrorKind::AlreadyExists => {
                Failure::new(format!("{} exists already; it is left as it is", path.display()))
            }
            _ => Failure::new(format!("cannot write {}: {cause}", path.display())),
        };
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
        let written = self.write(store, &mut BufWriter::new(&file)).await.map_err(Failure::from);
        match written.and_then(|count| file.sync_all().map(|()| count).map_err(unwritable)) {
            Ok(count) => Ok(count),
            Err(failure) => {
                // Half an export is none.
                let _ = remove_file(path);
                Err(failure)
            }
        }
    }

    /// Writes line after line, a page at a time.
    async fn write(&self, store: &Store, to: &mut impl Write) -> Result<u64, Stopped> {
        let now = now();
        let from = self.since.map_or(i64::MIN, |since| since.instant(now).as_millis());
        let to_before = self.until.map_or(i64::MAX, |until| until.instant(now).as_millis());
        let mut previous = self.beginning(store).await?;
        let mut count = 0;
        loop {
            let after = previous.seq;
            let page = store.read(move |tx| tx.list_sealed_audit_events(after, PAGE)).await?;
            if page.is_empty() {
                to.flush()?;
                return Ok(count);
            }
            for row in page {
                if row.seq != previous.seq + 1 {
                    return Err(gap(store, previous.seq + 1).await?);
                }
                let next = At { seq: row.seq, hash: row.hash };
                if (from..to_before).contains(&row.event.at) {
                    serde_json::to_writer(&mut *to, &Line::new(row, previous.hash))
                        .map_err(io::Error::from)?;
                    to.write_all(b"\n")?;
                    count += 1;
                }
                previous = next;
            }
        }
    }

    /// The place behind which the export begins, and its hash.
    async fn beginning(&self, store: &Store) -> Result<At, Stopped> {
        let after = self.after;
        let (head, row) = store
            .read(move |tx| {
                Ok((tx.find_audit_head()?, tx.list_sealed_audit_events(after.saturating_sub(1), 1)?))
            })
            .await?;
        match (head, row.into_iter().next()) {
            (None, None) => {
                let line = "nothing is sealed yet: start a server, which begins the chain within 10 seconds";
                Err(Stopped::Other(Failure::new(line)))
            }
            (Some(SealedAuditHead { head, .. }), _) if after <= head.purged.seq => {
                Ok(At { seq: head.purged.seq, hash: Some(head.purged.hash) })
            }
            (_, Some(row)) if row.seq == after => Ok(At { seq: after, hash: row.hash }),
            // Somebody took the head away: what is left is what there is.
            (None, Some(row)) => Ok(At { seq: row.seq - 1, hash: None }),
            (Some(_), _) => Ok(At { seq: after, hash: None }),
        }
    }
}

/// Why the row behind the last one is not `seq`.
async fn gap(store: &Store, seq: i64) -> Result<Stopped, StoreError> {
    let head = store.read(|tx| tx.find_audit_head()).await?;
    let is_removed = head.is_some_and(|sealed| sealed.head.purged.seq >= seq);
    Ok(Stopped::Other(if is_removed {
        Failure::temporary(
            "old rows of the audit were removed meanwhile, and the export would have a gap; do it again",
        )
    } else {
        Failure::broken(format!(
            "row {seq} of the audit is not where it belongs; `attesto audit verify` says more, and --after {seq} exports \
             what is behind it"
        ))
    }))
}

/// A place whose hash may not be there.
#[derive(Clone, Copy)]
struct At {
    seq: i64,
    hash: Option<Digest>,
}

/// Why an export ends early.
enum Stopped {
    Write(io::Error),
    Other(Failure),
}

impl From<io::Error> for Stopped {
    fn from(cause: io::Error) -> Self {
        Self::Write(cause)
    }
}

impl From<StoreError> for Stopped {
    fn from(cause: StoreError) -> Self {
        Self::Other(cause.into())
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Write(cause) => Self::new(format!("the export cannot be written: {cause}")),
            Stopped::Other(failure) => failure,
        }
    }
}

impl Line {
    fn new(row: ChainedEvent, previous: Option<Digest>) -> Self {
        let text = |hash: Digest| hash.to_string();
        Self {
            seq: row.seq,
            previous: previous.map(text),
            hash: row.hash.map(text),
            at_ms: row.event.at,
            event: row.event.into(),
        }
    }
}
