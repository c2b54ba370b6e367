use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant as Monotonic};

use actix_web::web;
use attesto_core::{Feed, Instant};
use attesto_store::{FeedHead, RecordedRevocation, Store, StoreError};
use tokio::time::sleep;

use super::published::{Position, Published};
use super::records::Records;
use crate::app::App;
use crate::clock::Clock;

/// How often the store is asked for news.
const EVERY: Duration = Duration::from_millis(100);

/// How long a state lasts at least: any second sees five of them, which are twenty answers of four each.
const SHORTEST_STATE: Duration = Duration::from_millis(250);

/// Who comes back within this time finds an answer that begins not long before what he knows.
const A_WHILE: Duration = Duration::from_secs(30);

/// Expired records are kept in mind for this long: no clock is that exact.
const CLOCK_ERROR: Duration = Duration::from_secs(60);

/// How often expired records are forgotten.
const TIDYING: Duration = Duration::from_secs(60);

/// Records per query.
const PAGE: i64 = 10_000;

/// Publishes what others write, for as long as the server runs. Never returns.
pub async fn follow_feed(app: web::Data<App>) {
    let mut trouble = None;
    loop {
        let followed = app.feed.follow(&app.store, &app.clock).await;
        sleep(*followed.as_ref().unwrap_or(&EVERY)).await;
        let cause = followed.err().map(|error| error.to_string());
        if cause != trouble {
            tell(cause.as_deref());
            trouble = cause;
        }
    }
}

fn tell(cause: Option<&str>) {
    if let Some(cause) = cause {
        tracing::error!(cause, "the revocation feed cannot be read");
    } else {
        tracing::info!("the revocation feed is read again");
    }
}

/// Reads the feed of the store, further and further.
pub struct Follower {
    feed: Feed,
    /// Up to here the records are loaded.
    loaded: i64,
    /// Without those that expired long before this, the latest instant that was seen.
    latest_at: Instant,
    records: Arc<RwLock<Records>>,
    /// What was published last, and where it was then.
    at: Instant,
    published: Position,
    previous: i64,
    published_at: Monotonic,
    /// Where it was one and two whiles ago.
    recent: [i64; 2],
    recent_at: Monotonic,
    tidied_at: Monotonic,
}

impl Follower {
    /// Reads everything.
    pub async fn start(store: &Store, clock: &Clock) -> Result<(Self, Published), StoreError> {
        let (at, now) = (clock.now(), Monotonic::now());
        let FeedHead { feed, .. } = store.read(|tx| tx.feed_head()).await?;
        let mut follower = Self {
            feed,
            loaded: 0,
            latest_at: at,
            records: Arc::new(RwLock::new(Records::new(&feed)?)),
            at,
            published: Position { epoch: feed.epoch, seq: 0 },
            previous: 0,
            published_at: now,
            recent: [0; 2],
            recent_at: now,
            tidied_at: now,
        };
        follower.load(store, at).await?;
        follower.published = follower.position();
        follower.previous = follower.loaded;
        follower.recent = [follower.loaded; 2];
        let published = follower.publish(at, now);
        Ok((follower, published))
    }

    /// The next state, if there is something new to say and the present one has lasted long enough.
    pub async fn next(&mut self, store: &Store, clock: &Clock) -> Result<Option<Published>, StoreError> {
        let (at, now) = (clock.now(), Monotonic::now());
        self.load(store, at).await?;
        let is_new = self.position() != self.published || at.seconds() != self.at.seconds();
        if !is_new || now.duration_since(self.published_at) < SHORTEST_STATE {
            return Ok(None);
        }
        Ok(Some(self.publish(at, now)))
    }

    /// How long the next look at the store can wait: until what is loaded may be published, if that comes first.
    pub fn pause(&self) -> Duration {
        if self.position() == self.published {
            return EVERY;
        }
        SHORTEST_STATE.saturating_sub(self.published_at.elapsed()).min(EVERY)
    }

    /// Loads what is new, all of it. If the clock was ahead and went back, what was forgotten is alive again.
    async fn load(&mut self, store: &Store, at: Instant) -> Result<(), StoreError> {
        if at + CLOCK_ERROR < self.latest_at {
            self.begin_anew(self.feed)?;
            self.latest_at = at;
        }
        self.latest_at = self.latest_at.max(at);
        loop {
            let after = self.loaded;
            let read = store.read(move |tx| {
                Ok((tx.feed_head()?, tx.list_living_revocations(after, PAGE, at - CLOCK_ERROR)?))
            });
            let (head, page) = read.await?;
            if head.feed != self.feed || head.seq < after {
                self.begin_anew(head.feed)?;
                continue;
            }
            if page.last().is_some_and(|last| last.seq > head.seq) {
                let (table, column) = ("revocation_counter", "seq");
                return Err(StoreError::Inconsistent { table, column, row: "1".to_owned() });
            }
            let is_last = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
            self.append(&page)?;
            if is_last {
                self.loaded = head.seq;
                return Ok(());
            }
        }
    }

    /// Forgets everything: the database was restored from a backup, or the clock was wrong.
    fn begin_anew(&mut self, feed: Feed) -> Result<(), StoreError> {
        self.records = Arc::new(RwLock::new(Records::new(&feed)?));
        (self.feed, self.loaded, self.previous, self.recent) = (feed, 0, 0, [0; 2]);
        Ok(())
    }

    fn append(&mut self, page: &[RecordedRevocation]) -> Result<(), StoreError> {
        let Some(last) = page.last() else { return Ok(()) };
        self.records.write().unwrap_or_else(PoisonError::into_inner).append(page)?;
        self.loaded = last.seq;
        Ok(())
    }

    fn publish(&mut self, at: Instant, now: Monotonic) -> Published {
        let position = self.position();
        if position != self.published {
            // Of another feed nobody knows anything.
            let is_same = position.epoch == self.published.epoch;
            self.previous = if is_same { self.published.seq.min(position.seq) } else { 0 };
            self.published = position;
        }
        if now.duration_since(self.recent_at) >= A_WHILE {
            self.recent = [self.recent[1], self.loaded];
            self.recent_at = now;
        }
        if now.duration_since(self.tidied_at) >= TIDYING {
            self.records.write().unwrap_or_else(PoisonError::into_inner).drop_expired(at - CLOCK_ERROR);
            self.tidied_at = now;
        }
        (self.at, self.published_at) = (at, now);
        Published::new(position, (at, now), Arc::clone(&self.records), self.previous, self.recent[0])
    }

    fn position(&self) -> Position {
        Position { epoch: self.feed.epoch, seq: self.loaded }
    }
}
