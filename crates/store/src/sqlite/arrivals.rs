use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// So many do not wait for more: a wait for the disk costs each of them little.
const ENOUGH: usize = 32;

/// The writes that wait for the thread that writes, and those that are about to come.
pub(super) struct Arrivals {
    counts: Mutex<Counts>,
    changed: Condvar,
    cores: usize,
}

#[derive(Default)]
struct Counts {
    waiting: usize,
    to_come: usize,
    /// Whether the thread that writes waits for more.
    lingers: bool,
}

/// One write that is about to come, for as long as this is held.
pub(crate) struct Expected<'a>(&'a Arrivals);

impl Arrivals {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        Self::on(available_parallelism().map_or(1, std::num::NonZero::get))
    }

    fn on(cores: usize) -> Self {
        Self { counts: Mutex::default(), changed: Condvar::new(), cores }
    }

    /// One more is about to come.
    pub(super) fn expect(&self) -> Expected<'_> {
        self.counts().to_come += 1;
        Expected(self)
    }

    /// One more waits from now on.
    pub(super) fn add(&self) {
        self.counts().waiting += 1;
    }

    /// One waits no more.
    pub(super) fn remove(&self) {
        self.counts().waiting -= 1;
    }

    pub(super) fn waiting(&self) -> usize {
        self.counts().waiting
    }

    /// For the thread that writes: waits until enough have come, but not longer than this after `since`. While others sign,
    /// a write loses nothing by that, and the disk is waited for once.
    pub(super) fn linger(&self, longest: Duration, since: Instant) {
        let left = longest.saturating_sub(since.elapsed());
        let mut counts = self.counts();
        counts.lingers = true;
        let waited = self.changed.wait_timeout_while(counts, left, |counts| !self.are_enough(counts));
        let (mut counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        counts.lingers = false;
    }

    /// Whether no more are to come than there are cores, which sign them while the others are committed.
    fn are_enough(&self, counts: &Counts) -> bool {
        counts.to_come <= self.cores || counts.waiting >= ENOUGH
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It waits, or does not come after all.
impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.to_come -= 1;
        if counts.lingers && self.0.are_enough(&counts) {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, sleep};

    use super::*;

    /// Longer than any of these tests takes.
    const LONG: Duration = Duration::from_secs(60);

    /// Lingers, and says whether it was over before the time was.
    fn is_over(arrivals: &Arrivals) -> bool {
        let begun = Instant::now();
        arrivals.linger(LONG, begun);
        begun.elapsed() < LONG
    }

    #[test]
    fn those_that_are_being_signed_are_not_waited_for() {
        let arrivals = Arrivals::on(2);
        arrivals.add();
        assert!(is_over(&arrivals));
        let _to_come = [(); 2].map(|()| arrivals.expect());
        assert!(is_over(&arrivals));
    }

    #[test]
    fn others_are_until_they_wait_as_well_or_do_not_come() {
        let arrivals = Arrivals::on(2);
        let mut to_come: Vec<_> = (0..4).map(|_| arrivals.expect()).collect();
        arrivals.add();
        thread::scope(|scope| {
            let lingering = scope.spawn(|| is_over(&arrivals));
            arrivals.add();
            to_come.pop();
            sleep(Duration::from_millis(20));
            assert!(!lingering.is_finished());
            to_come.pop();
            assert!(lingering.join().unwrap());
        });
    }

    #[test]
    fn many_do_not_wait_for_more() {
        let arrivals = Arrivals::on(2);
        let _to_come = [(); 100].map(|()| arrivals.expect());
        (0..ENOUGH).for_each(|_| arrivals.add());
        assert!(is_over(&arrivals));
    }

    #[test]
    fn who_does_not_come_is_not_waited_for_for_long() {
        let arrivals = Arrivals::on(2);
        let _to_come = [(); 3].map(|()| arrivals.expect());
        arrivals.add();
        let (longest, begun) = (Duration::from_millis(20), Instant::now());
        arrivals.linger(longest, begun);
        assert!(begun.elapsed() >= longest);
    }
}
