//! The revocation feed: followed in the store, signed, and answered to everybody who follows it in turn.
//!
//! Whatever is asked, few signatures are made: the feed is published in states, at most four in a second, and of each
//! state at most four answers are signed, each once and for all who want it.

mod access;
mod ahead;
mod answer;
mod counts;
mod endpoint;
mod failure;
mod follow;
mod keys;
mod lending;
mod once;
mod published;
mod query;
mod records;
mod size;
mod standing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use attesto_store::{Store, StoreError};
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

pub use endpoint::revocations;
pub use follow::follow_feed;
pub use keys::revocation_keys;
pub use size::snapshot_bytes;
pub use standing::Standing;

use crate::app::Stopping;
use crate::clock::Clock;
use crate::unavailable::Unavailable;
use ahead::Ahead;
use counts::Counts;
use follow::Follower;
use lending::Lending;
use published::{Position, Published};

/// A state that the store has not confirmed for this long is not signed any more.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// How many may wait for news at once, if the process may have twice as many files. Each holds a connection and little
/// else.
const MOST_WAITERS: usize = 20_000;

/// What this server publishes.
pub struct Feed {
    follower: Mutex<Follower>,
    published: ArcSwap<Published>,
    news: watch::Sender<Position>,
    waiters: AtomicUsize,
    most_waiters: usize,
    lending: Lending,
    ahead: Ahead,
    /// For those who measure.
    pub counts: Counts,
}

impl Feed {
    /// Reads the whole feed of the store, which has been begun.
    pub async fn open(store: &Store, clock: &Clock) -> Result<Self, StoreError> {
        let (follower, published) = Follower::start(store, clock).await?;
        Ok(Self {
            follower: Mutex::new(follower),
            news: watch::Sender::new(published.position),
            published: ArcSwap::from_pointee(published),
            waiters: AtomicUsize::new(0),
            most_waiters: most_waiters(),
            lending: Lending::default(),
            ahead: Ahead::default(),
            counts: Counts::new(),
        })
    }

    /// Publishes what is new in the store. Says how long the next look can wait.
    pub async fn follow(&self, store: &Store, clock: &Clock) -> Result<Duration, StoreError> {
        let mut follower = self.follower.lock().await;
        if let Some(published) = follower.next(store, clock).await? {
            let position = published.position;
            self.published.store(Arc::new(published));
            self.news.send_if_modified(|known| std::mem::replace(known, position) != position);
        }
        Ok(follower.pause())
    }

    /// The present state, if it is known to be the store's.
    fn present(&self) -> Result<Arc<Published>, Unavailable> {
        let published = self.published.load_full();
        if published.read_at.elapsed() > LONGEST_SILENCE {
            return Err(Unavailable::FeedUnconfirmed);
        }
        Ok(published)
    }

    /// The newest position that is published.
    pub fn seq(&self) -> i64 {
        self.published.load().position.seq
    }

    /// Comes back when there is news after `known`, when it has taken too long, or when the server stops.
    async fn wait(&self, known: Position, longest: Duration, stopping: &Stopping) -> Result<(), Unavailable> {
        let _place = Place::take(&self.waiters, self.most_waiters)?;
        let mut news = self.news.subscribe();
        let _ = timeout(longest, async {
            tokio::select! {
                _ = news.wait_for(|position| position.is_news_to(known)) => {}
                () = stopping.wait() => {}
            }
        })
        .await;
        Ok(())
    }
}

/// Half of the files that the process may have are left for everybody else.
fn most_waiters() -> usize {
    let files = getrlimit(Resource::Nofile).maximum.and_then(|files| usize::try_from(files).ok());
    files.map_or(MOST_WAITERS, |files| MOST_WAITERS.min(files / 2))
}

/// One waiter's place.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiters: &'a AtomicUsize, most: usize) -> Result<Self, Unavailable> {
        let place = Self(waiters);
        if waiters.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Unavailable::TooManyWaiters);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
