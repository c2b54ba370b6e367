use std::time::Duration;

use attesto_core::{Instant, Line, ServerReport};
use attesto_server::snapshot_bytes;
use attesto_store::{FeedHead, Read, RecordedRevocation, StoreError};
use attesto_token::feed::RevokedBy;
use serde::Serialize;
use serde_json::json;

use super::record::kind_of;
use super::{not_begun, with_head};
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, in_words, rfc3339, table, until};

/// Records per query.
const PAGE: i64 = 10_000;

/// Two reports of a server are missing.
const SILENT_AFTER: Duration = Duration::from_secs(3 * ServerReport::INTERVAL.as_secs());

const SILENT: &str = "A server that was not heard of for more than 6 seconds was killed or is stuck: it reports every 2 seconds. \
    Its row goes after 30 seconds. If its process still runs, see its log and restart it; else start another one.";

const BEHIND: &str =
    "A server that stays behind for more than a moment cannot read the database: see its log.";

#[derive(Serialize)]
struct Shown {
    epoch: String,
    seq: i64,
    records: Vec<OfKind>,
    /// They have expired, and are still there.
    expired: usize,
    /// Absent while no key signs the feed.
    snapshot_bytes: Option<usize>,
    servers: Vec<Server>,
}

/// The living records of a kind.
#[derive(Serialize)]
struct OfKind {
    kind: &'static str,
    living: usize,
    oldest: Option<String>,
    newest: Option<String>,
    next_expiry: Option<String>,
    #[serde(skip)]
    row: Vec<String>,
}

#[derive(Serialize)]
struct Server {
    id: String,
    version: String,
    seq: i64,
    behind: i64,
    seen_at: String,
    #[serde(skip)]
    age: String,
    #[serde(skip)]
    is_silent: bool,
}

/// Shows the feed as the database has it. No server is asked.
pub async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let settings = place.settings()?;
    let store = Place::open(&settings).await?;
    let now = now();
    let read = store
        .read(move |tx| with_head(tx, |tx| Ok((count(tx, now)?, tx.find_key_table()?, tx.list_servers()?))));
    let (head, (counted, keys, mut servers)) = read.await?.ok_or_else(not_begun)?;
    servers.retain(|server| server.is_live(now));
    let living = counted.groups.iter().map(|group| group.living).sum();
    let size = |kid: &str| snapshot_bytes(&settings.issuer, &head, living, kid, now);
    let shown = Shown {
        epoch: rfc3339(head.feed.epoch),
        seq: head.seq,
        records: counted.groups.iter().map(|group| group.shown(now)).collect(),
        expired: counted.expired,
        snapshot_bytes: keys.active(Line::of_feed()).map(|key| size(&key.kid)),
        servers: servers.into_iter().map(|server| Server::new(server, &head, now)).collect(),
    };
    output.done(&shown.picture(), &json!(shown))
}

/// What is in the database.
struct Counted {
    groups: [Group; 6],
    expired: usize,
}

/// The records of a kind.
struct Group {
    kind: RevokedBy,
    living: usize,
    /// The oldest and the newest instant up to which it refuses tokens, and when the first expires.
    bounds: Option<(Instant, Instant, Instant)>,
}

fn count(tx: &mut Read<'_>, now: Instant) -> Result<Counted, StoreError> {
    let mut counted =
        Counted { groups: RevokedBy::ALL.map(|kind| Group { kind, living: 0, bounds: None }), expired: 0 };
    let mut after = 0;
    loop {
        let page = tx.list_revocations(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(counted) };
        after = last.seq;
        page.iter().try_for_each(|record| counted.add(record, now))?;
    }
}

impl Counted {
    fn add(&mut self, record: &RecordedRevocation, now: Instant) -> Result<(), StoreError> {
        let group = &mut self.groups[usize::from(kind_of(record)?.number())];
        let (at, expires) =
            (Instant::from_millis(record.not_before), Instant::from_millis(record.expires_at));
        if expires <= now {
            self.expired += 1;
            return Ok(());
        }
        group.living += 1;
        let (oldest, newest, next) = group.bounds.unwrap_or((at, at, expires));
        group.bounds = Some((oldest.min(at), newest.max(at), next.min(expires)));
        Ok(())
    }
}

impl Group {
    fn shown(&self, now: Instant) -> OfKind {
        let (kind, living) = (self.kind.as_str(), self.living);
        let age = |at| format!("{} ago", in_words(now.since(at)));
        let cells = self.bounds.map(|(oldest, newest, next)| [age(oldest), age(newest), until(next, now)]);
        OfKind {
            kind,
            living,
            oldest: self.bounds.map(|(oldest, ..)| rfc3339(oldest)),
            newest: self.bounds.map(|(_, newest, _)| rfc3339(newest)),
            next_expiry: self.bounds.map(|(.., next)| rfc3339(next)),
            row: [[kind.to_owned(), living.to_string()].as_slice(), &cells.unwrap_or_default()].concat(),
        }
    }
}

impl Server {
    fn new(report: ServerReport, head: &FeedHead, now: Instant) -> Self {
        Self {
            behind: (head.seq - report.feed_seq).max(0),
            seq: report.feed_seq,
            seen_at: rfc3339(report.seen_at),
            age: format!("{} ago", in_words(now.since(report.seen_at))),
            is_silent: now.since(report.seen_at) > SILENT_AFTER,
            id: report.id,
            version: report.version,
        }
    }

    fn row(&self) -> Vec<String> {
        let (seq, behind) = (self.seq.to_string(), self.behind.to_string());
        vec![self.id.clone(), self.version.clone(), seq, behind, self.age.clone()]
    }
}

impl Shown {
    /// For people.
    fn picture(&self) -> String {
        let size = self.snapshot_bytes.map_or_else(
            || "none: no key signs the feed; see `attesto keys list --purpose feed`".to_owned(),
            |bytes| format!("{bytes} bytes, not compressed"),
        );
        let records: Vec<_> = self.records.iter().map(|kind| kind.row.clone()).collect();
        [
            format!("epoch     {}\nseq       {}\nsnapshot  {size}", self.epoch, self.seq),
            format!("expired   {}, removed by a server after half an hour", self.expired),
            table(&["kind", "living", "oldest", "newest", "next expiry"], records),
            self.servers(),
        ]
        .join("\n")
    }

    fn servers(&self) -> String {
        if self.servers.is_empty() {
            return "No server runs: nobody can ask for the feed.".to_owned();
        }
        let rows = self.servers.iter().map(Server::row);
        let servers = table(&["server", "version", "published up to", "records behind", "heard of"], rows);
        let (silent, reporting): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.is_silent);
        [
            Some(servers),
            (!silent.is_empty()).then(|| SILENT.to_owned()),
            reporting.iter().any(|server| server.behind > 0).then(|| BEHIND.to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
    }
}
