use std::io::{IsTerminal as _, Write as _, stderr};

use attesto_core::{
    AuditBreak, AuditHead, AuditPlace, AuditSearch, AuditWalk, ChainedEvent, Digest, Instant,
};
use attesto_keyring::AuditHeadError;
use attesto_server::{AuditChain, AuditError};
use attesto_store::{Store, StoreError, Unsealed};
use clap::Args;
use serde_json::{Value, json};

use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, in_words, rfc3339};

/// Rows per query.
const PAGE: i64 = 1_000;

/// How often it begins anew because the oldest rows were removed meanwhile.
const ATTEMPTS: usize = 5;

const AFTER_HELP: &str = "\
Proves: no row that is sealed was altered, removed or moved since by anybody who has the database alone.
Does not prove: anything against somebody who has a key-encryption key as well, who can write the chain anew; anything
about rows that are not sealed yet, which servers do every 10 seconds; and that the database is not an older copy of itself
as a whole. Against the first and the last, note what this prints, outside of the database, and compare with --expect.";

/// Prove that the audit says what it said: no row altered, missing or out of place
///
/// Needs the key-encryption keys. Exits with 1 if something is wrong, and names the first row where it is.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Verify {
    /// A place that was noted before: the chain has to have this hash there. May be given several times
    #[arg(long, value_name = "SEQ:HASH", value_parser = noted)]
    expect: Vec<AuditPlace>,
}

/// A chain that is whole.
struct Whole {
    head: AuditHead,
    /// When the first of its rows happened, and the last.
    span: Option<(Instant, Instant)>,
    unsealed: Unsealed,
}

/// What is wrong, and in which row if it is in one.
struct Broken {
    seq: Option<i64>,
    problem: String,
}

impl Verify {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        let store = Place::open(&settings).await?;
        let chain = attesto_server::audit_chain(&store, &settings).await?;
        match self.verify(&store, &chain).await? {
            Ok(whole) => output.done(&whole.sentences(), &whole.to_json()),
            Err(broken) => {
                if output.json {
                    let object = json!({"intact": false, "seq": broken.seq, "problem": broken.problem});
                    output.done("", &object)?;
                }
                Err(Failure::new(format!("the audit is broken: {}", broken.problem)))
            }
        }
    }

    async fn verify(&self, store: &Store, chain: &AuditChain) -> Result<Result<Whole, Broken>, Failure> {
        for _ in 0..ATTEMPTS {
            let head = match head(chain).await? {
                Ok(head) => head,
                Err(broken) => return Ok(Err(broken)),
            };
            let Err(broken) = self.walk(store, head).await? else {
                let unsealed = store.read(|tx| tx.count_unsealed_audit_events()).await?;
                return Ok(Ok(Whole { head, span: span(store, head).await?, unsealed }));
            };
            let begins_later = |later: AuditHead| later.purged.seq > head.purged.seq;
            if !self::head(chain).await?.is_ok_and(begins_later) {
                return Ok(Err(broken));
            }
        }
        Err(Failure::temporary("old rows of the audit are being removed all the time; try again"))
    }

    /// Goes along the whole chain.
    async fn walk(&self, store: &Store, head: AuditHead) -> Result<Result<(), Broken>, Failure> {
        if let Err(broken) = self.compare(head.purged).and_then(|()| self.reachable(&head)) {
            return Ok(Err(broken));
        }
        let mut walk = AuditWalk::from(head.purged);
        let mut progress = Progress::new(head.last.seq - head.purged.seq);
        // From before the beginning: nothing may stand there.
        let mut after = i64::MIN;
        while after < head.last.seq {
            let page = store.read(move |tx| tx.list_sealed_audit_events(after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for row in page.iter().take_while(|row| row.seq <= head.last.seq) {
                if let Err(found) = walk.step(row) {
                    return Ok(Err(explain(store, &head, row, found).await?));
                }
                if let Err(broken) = self.compare(walk.at()) {
                    return Ok(Err(broken));
                }
            }
            progress.tell(walk.at().seq - head.purged.seq);
        }
        Ok(walk.end(head.last).map_err(Broken::from))
    }

    /// What was noted of a place.
    fn compare(&self, at: AuditPlace) -> Result<(), Broken> {
        match self.expect.iter().find(|noted| noted.seq == at.seq && noted.hash != at.hash) {
            None => Ok(()),
            Some(noted) => Err(Broken {
                seq: Some(noted.seq),
                problem: format!(
                    "row {} has not the hash that was noted: the chain was written anew by somebody with the key-encryption key",
                    noted.seq
                ),
            }),
        }
    }

    fn reachable(&self, head: &AuditHead) -> Result<(), Broken> {
        let seqs = || self.expect.iter().map(|noted| noted.seq);
        if let Some(seq) = seqs().find(|seq| *seq > head.last.seq) {
            let last = head.last.seq;
            let problem = format!(
                "row {seq} was noted, and the chain ends at row {last}: the database is an older copy of itself"
            );
            return Err(Broken { seq: Some(seq), problem });
        }
        match seqs().find(|seq| *seq < head.purged.seq) {
            Some(seq) => Err(Broken {
                seq: Some(seq),
                problem: format!(
                    "row {seq} was noted, and cannot be compared: the rows up to {} were removed as too old; note a newer one",
                    head.purged.seq
                ),
            }),
            None => Ok(()),
        }
    }
}

/// When the first row happened, and the last.
async fn span(store: &Store, head: AuditHead) -> Result<Option<(Instant, Instant)>, Failure> {
    let (first, last) = store
        .read(move |tx| {
            let mut behind = |place| Ok::<_, StoreError>(tx.list_sealed_audit_events(place, 1)?.pop());
            Ok((behind(head.purged.seq)?, behind(head.last.seq - 1)?))
        })
        .await?;
    let at = |row: ChainedEvent| Instant::from_millis(row.event.at);
    Ok(first.map(at).zip(last.map(at)).filter(|_| head.last.seq > head.purged.seq))
}

/// The head, proved.
async fn head(chain: &AuditChain) -> Result<Result<AuditHead, Broken>, Failure> {
    let broken = |problem: String| Ok(Err(Broken { seq: None, problem }));
    match chain.head().await {
        Ok(Some(head)) => Ok(Ok(head)),
        Ok(None) => broken(
            "there is no chain: no server of this version has run on this database yet, or somebody took all of it away"
                .to_owned(),
        ),
        Err(AuditError::Store(cause)) => Err(cause.into()),
        Err(AuditError::Head(cause @ AuditHeadError::KekMissing { .. })) => Err(Failure::new(cause.to_string())),
        Err(AuditError::HeadSetBack { head, found }) => Ok(Err(AuditBreak::HeadSetBack { head, found }.into())),
        Err(other) => broken(other.to_string()),
    }
}

/// A row that does not fit may belong elsewhere.
async fn explain(
    store: &Store,
    head: &AuditHead,
    row: &ChainedEvent,
    found: AuditBreak,
) -> Result<Broken, Failure> {
    let AuditBreak::Altered { seq } = found else { return Ok(found.into()) };
    let mut search = AuditSearch::new(row.clone(), head.purged);
    let mut after = head.purged.seq;
    loop {
        let page = store.read(move |tx| tx.list_sealed_audit_events(after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(found.into()) };
        after = last.seq;
        if let Some(belongs_to) = page.iter().find_map(|row| search.step(row)) {
            return Ok(AuditBreak::OutOfPlace { seq, belongs_to }.into());
        }
    }
}

impl From<AuditBreak> for Broken {
    fn from(found: AuditBreak) -> Self {
        let seq = match found {
            AuditBreak::Missing { first: seq, .. }
            | AuditBreak::Altered { seq }
            | AuditBreak::OutOfPlace { seq, .. }
            | AuditBreak::Added { seq }
            | AuditBreak::Rewritten { seq }
            | AuditBreak::HeadSetBack { head: seq, .. } => seq,
        };
        Self { seq: Some(seq), problem: found.to_string() }
    }
}

impl Whole {
    fn rows(&self) -> i64 {
        self.head.last.seq - self.head.purged.seq
    }

    /// For people.
    fn sentences(&self) -> String {
        let AuditHead { begun_at, last, sealed_at, purged, .. } = self.head;
        let rows = match self.span {
            None => "it has no rows".to_owned(),
            Some((from, to)) => format!(
                "{} rows, {} to {}, from {} to {}",
                self.rows(),
                purged.seq + 1,
                last.seq,
                rfc3339(from),
                rfc3339(to)
            ),
        };
        format!(
            "The audit is whole: {rows}.\nThe chain begins at {} and was sealed last at {}. {}\n\
             Note outside of the database, to compare with one day: --expect {}:{}",
            rfc3339(begun_at),
            rfc3339(sealed_at),
            self.waiting(),
            last.seq,
            last.hash
        )
    }

    fn waiting(&self) -> String {
        match self.unsealed.since {
            None => "Every row is sealed.".to_owned(),
            Some(since) => format!(
                "{} rows are not sealed yet, the oldest for {}; nothing is proved of them. A running server seals every 10 seconds.",
                self.unsealed.rows,
                in_words(now().since(since))
            ),
        }
    }

    /// For programs.
    fn to_json(&self) -> Value {
        let AuditHead { begun_at, last, sealed_at, purged, .. } = self.head;
        json!({
            "intact": true,
            "rows": self.rows(),
            "first_seq": purged.seq + 1,
            "last_seq": last.seq,
            "hash": last.hash.to_string(),
            "from": self.span.map(|(from, _)| rfc3339(from)),
            "to": self.span.map(|(_, to)| rfc3339(to)),
            "begun_at": rfc3339(begun_at),
            "sealed_at": rfc3339(sealed_at),
            "unsealed": self.unsealed.rows,
            "unsealed_since": self.unsealed.since.map(rfc3339),
        })
    }
}

/// Says how far it is, to somebody who watches.
struct Progress {
    all: i64,
    is_watched: bool,
}

impl Progress {
    fn new(all: i64) -> Self {
        const MANY: i64 = 50_000;
        Self { all, is_watched: all > MANY && stderr().is_terminal() }
    }

    fn tell(&mut self, done: i64) {
        if self.is_watched {
            let end = if done == self.all { "\n" } else { "" };
            // Whoever watches may leave.
            let _ = write!(stderr(), "\r{done} of {} rows{end}", self.all);
        }
    }
}

/// `SEQ:HASH`, as it was printed.
fn noted(text: &str) -> Result<AuditPlace, String> {
    let place = text.split_once(':').and_then(|(seq, hash)| {
        let bytes: Option<Vec<u8>> = hash
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect();
        Some(AuditPlace { seq: seq.parse().ok()?, hash: Digest::from_bytes(&bytes?)? })
    });
    place.ok_or_else(|| "is a number and 64 hex digits, as `attesto audit verify` prints them".to_owned())
}
