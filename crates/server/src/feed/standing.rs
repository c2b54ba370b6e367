use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attesto_core::Instant;
use attesto_store::FeedHead;
use attesto_token::feed::RevokedBy;

use super::Feed;
use super::published::Position;

/// What this server publishes, in figures.
pub struct Standing {
    /// Which feed, and its newest record.
    pub head: FeedHead,
    /// The records that are alive, by kind.
    pub records: [(RevokedBy, usize); 6],
    /// When the newest of them was made.
    pub newest: Option<Instant>,
    /// Since the store confirmed it.
    pub age: Duration,
    /// How many wait for news.
    pub waiters: usize,
    /// How many may.
    pub most_waiters: usize,
}

impl Feed {
    /// How it stands at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        let published = self.published.load();
        let Position { epoch, seq } = published.position;
        let records = published.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut counts = RevokedBy::ALL.map(|kind| (kind, 0));
        let mut newest = None;
        for record in records.between(0, seq, now) {
            counts[usize::from(record.kind.number())].1 += 1;
            newest = Some(Instant::from_seconds(record.not_before.into()));
        }
        Standing {
            head: FeedHead { feed: attesto_core::Feed { epoch, salt: *records.salt().as_bytes() }, seq },
            records: counts,
            newest,
            age: published.read_at.elapsed(),
            waiters: self.waiters.load(Ordering::Relaxed),
            most_waiters: self.most_waiters,
        }
    }
}
