use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::distribution::{Distributed, Distribution};

/// What the database does for this process, in figures.
#[derive(Clone, Debug)]
pub enum Figures {
    /// The one thread that writes.
    Sqlite {
        /// Writes that wait for their turn.
        waiting: usize,
        /// How many changes became durable together.
        changes: Distributed,
        /// How long each group took from its beginning until it was on the disk, in nanoseconds.
        durations: Distributed,
    },
    /// The connections.
    Postgres {
        /// Those at work.
        used: usize,
        /// How many there can be.
        limit: usize,
        /// Requests that wait for one.
        waiting: usize,
    },
}

/// Of what SQLite committed.
pub(crate) struct Commits {
    changes: Distribution<7>,
    durations: Distribution<10>,
}

impl Commits {
    pub(crate) const fn new() -> Self {
        const MICROSECOND: u64 = 1_000;
        const MILLISECOND: u64 = 1_000 * MICROSECOND;
        Self {
            changes: Distribution::new(&[1, 2, 4, 8, 16, 32, 64]),
            durations: Distribution::new(&[
                250 * MICROSECOND,
                500 * MICROSECOND,
                MILLISECOND,
                2_500 * MICROSECOND,
                5 * MILLISECOND,
                10 * MILLISECOND,
                25 * MILLISECOND,
                100 * MILLISECOND,
                500 * MILLISECOND,
                2_500 * MILLISECOND,
            ]),
        }
    }

    /// A group became durable.
    pub(crate) fn count(&self, changes: usize, took: Duration) {
        self.changes.observe(changes as u64);
        self.durations.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn figures(&self, waiting: usize) -> Figures {
        Figures::Sqlite { waiting, changes: self.changes.counted(), durations: self.durations.counted() }
    }
}

/// One more for as long as it is held.
pub(crate) struct OneMore<'a>(&'a AtomicUsize);

impl<'a> OneMore<'a> {
    pub(crate) fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
