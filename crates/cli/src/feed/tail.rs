use std::io::stdout;
use std::time::Duration;

use attesto_store::{FeedHead, RecordedRevocation, Store, StoreError};
use attesto_token::feed::{RevokedBy, Salt};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::sleep;

use super::record::Shown;
use super::{not_begun, with_head};
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, say};

/// How often new records are looked for.
const EVERY: Duration = Duration::from_millis(250);

/// Records per look.
const PAGE: i64 = 1000;

/// Which records, and how.
#[derive(Args)]
pub struct Tail {
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=100_000))]
    limit: i64,
    /// Only those that end this: all tokens, those of a key (kid), a client, a user (subject) or a session, or one token
    /// (jti)
    #[arg(long, value_parser = kinds())]
    kind: Option<RevokedBy>,
    /// Go on with those to come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Show identifiers as consumers know them as well
    #[arg(long)]
    hashes: bool,
}

fn kinds() -> impl TypedValueParser<Value = RevokedBy> {
    PossibleValuesParser::new(RevokedBy::ALL.map(RevokedBy::as_str)).try_map(|name| {
        RevokedBy::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or("is no kind of record")
    })
}

impl Tail {
    /// Prints the newest, and those to come.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let store = place.store().await?;
        let (limit, kind) = (self.limit, self.number());
        let read = store.read(move |tx| with_head(tx, |tx| tx.list_newest_revocations(kind, limit)));
        let (head, mut newest) = read.await?.ok_or_else(not_begun)?;
        newest.reverse();
        let printer = Printer { output, salt: if self.hashes { Some(salt_of(&head)?) } else { None } };
        printer.header()?;
        printer.print(&newest)?;
        if self.follow { self.follow(&store, head, &printer).await } else { Ok(()) }
    }

    async fn follow(&self, store: &Store, begun: FeedHead, printer: &Printer) -> Result<(), Failure> {
        let mut seq = begun.seq;
        while !is_stdout_closed() {
            sleep(EVERY).await;
            let read = store.read(move |tx| with_head(tx, |tx| tx.list_revocations(seq, PAGE)));
            let (head, mut records) = read.await?.ok_or_else(not_begun)?;
            if head.feed != begun.feed || head.seq < seq {
                return Err(Failure::new("another feed began: the database was restored; start again"));
            }
            seq = records.last().map_or(seq, |record| record.seq);
            records.retain(|record| self.number().is_none_or(|kind| kind == record.kind));
            printer.print(&records)?;
        }
        Ok(())
    }

    fn number(&self) -> Option<i32> {
        self.kind.map(|kind| i32::from(kind.number()))
    }
}

struct Printer {
    output: Output,
    salt: Option<Salt>,
}

impl Printer {
    fn header(&self) -> Result<(), Failure> {
        if self.output.json { Ok(()) } else { say(&Shown::header(self.salt.is_some())) }
    }

    fn print(&self, records: &[RecordedRevocation]) -> Result<(), Failure> {
        let now = now();
        records.iter().try_for_each(|record| {
            let shown = Shown::new(record, self.salt, now)?;
            self.output.line(&shown, &shown.line())
        })
    }
}

fn salt_of(head: &FeedHead) -> Result<Salt, StoreError> {
    let impossible = || StoreError::Inconsistent { table: "feed", column: "salt", row: "1".to_owned() };
    Salt::new(head.feed.salt).ok_or_else(impossible)
}

/// Whether whoever read the lines went away. Asked, because there may be nothing to write for long.
fn is_stdout_closed() -> bool {
    let stdout = stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&at_once)).is_ok()
        && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
}
