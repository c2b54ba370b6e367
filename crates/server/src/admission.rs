use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::task::yield_now;

use crate::unavailable::Unavailable;

/// How many may wait for each core: what comes last then waits for about a third of a second.
pub const WAITING_PER_CORE: usize = 256;

/// How many requests of a kind are worked at or wait for it. Whoever comes on top is told so at once: a server with more to do
/// than it can would otherwise let everybody wait, until nobody is answered in time.
pub struct Admission {
    inside: AtomicUsize,
    most: usize,
}

/// Leaves when it is dropped.
pub struct Admitted<'a>(&'a Admission);

impl Admission {
    /// For work that takes a core about a millisecond.
    pub fn new() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self { inside: AtomicUsize::new(0), most: WAITING_PER_CORE * cores }
    }

    /// Refuses whoever would be refused anyway, before anything is done for them. Takes no place.
    pub fn require_room(&self) -> Result<(), Unavailable> {
        if self.inside.load(Ordering::Relaxed) >= self.most { Err(Unavailable::Crowded) } else { Ok(()) }
    }

    /// Comes in, unless too many are inside. A signature is made without a break, so whoever has arrived as well is let in
    /// before this goes on.
    pub async fn enter(&self) -> Result<Admitted<'_>, Unavailable> {
        let admitted = Admitted(self);
        if self.inside.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(Unavailable::Crowded);
        }
        yield_now().await;
        Ok(admitted)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}
