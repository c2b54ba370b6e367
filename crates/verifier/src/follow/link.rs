use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

use super::{Progress, Source};
use crate::clock::Clock;
use crate::event::Event;

/// What a verifier and its follower say to each other.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<State>,
    /// For threads: the follower waits for a wish, callers for an attempt.
    changed: Condvar,
    /// The same for tasks.
    #[cfg(feature = "tokio")]
    woken: tokio::sync::Notify,
    #[cfg(feature = "tokio")]
    attempted: tokio::sync::watch::Sender<()>,
}

#[derive(Default)]
struct State {
    wish: Option<Wish>,
    woken: bool,
    stopped: bool,
    attempt: Attempt,
    /// Whether an answer was awaited when an unknown key was last wished for.
    wish_awaits: bool,
    attempts: u64,
    /// How many attempts there were when it was last said that there are too many wishes.
    limit_told_at: Option<u64>,
    last_error: Option<String>,
    due: Duration,
    wishes_from: Duration,
}

/// How far the attempt is that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attempt {
    #[default]
    None,
    /// The request was sent.
    Awaiting,
    /// Its answer is there, and is taken in.
    Reading,
}

/// That something is asked for sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A token names a key that is not in the set: anybody can cause that.
    UnknownKid,
    /// The program says so.
    Now,
}

/// What a follower is waiting for.
#[cfg(feature = "testkit")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// For nothing: it is about to do something.
    Busy,
    /// For an answer.
    Asking,
    /// For its time.
    Until(Duration),
}

/// Held by who follows, for as long as it does.
pub(super) struct Following(pub(super) Arc<Link>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abandoned();
    }
}

/// What a follower does next.
pub(crate) enum Next {
    Ask,
    Wait(Duration),
    Stop,
}

impl Link {
    /// Asks for an attempt because of an unknown key, without waiting for it. Says what is worth to be told, which is not
    /// the same again for each token: anybody can make up a `kid`.
    pub(crate) fn wish_unknown_kid(&self, now: Duration) -> Option<Event<'static>> {
        let mut state = self.state();
        let soon = state.wishes_from <= now;
        let told = state.limit_told_at == Some(state.attempts);
        if !soon {
            state.limit_told_at = Some(state.attempts);
        }
        let first = state.wish.is_none();
        state.wish_awaits = state.attempt == Attempt::Awaiting;
        if first {
            state.wish = Some(Wish::UnknownKid);
            self.wake(state);
        }
        if soon { first.then_some(Event::UnknownKid) } else { (!told).then_some(Event::RateLimited) }
    }

    /// Asks for an attempt at once. Says how many attempts will have ended when it has.
    pub(crate) fn wish_now(&self) -> u64 {
        let mut state = self.state();
        let attempts = state.attempts + if state.attempt == Attempt::None { 1 } else { 2 };
        state.wish = Some(Wish::Now);
        self.wake(state);
        attempts
    }

    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        self.wake(state);
    }

    /// Has the follower look at the clock again.
    #[cfg(feature = "testkit")]
    pub(crate) fn poke(&self) {
        self.wake(self.state());
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn rest(&self, now: Duration) -> Rest {
        let state = self.state();
        if state.attempt != Attempt::None {
            Rest::Asking
        } else if state.woken || state.wish.is_some() || state.due <= now {
            Rest::Busy
        } else {
            Rest::Until(state.due)
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// How many attempts have ended, well or badly.
    pub(crate) fn attempts(&self) -> u64 {
        self.state().attempts
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    /// Whether an attempt is under way, or begins before this instant: then it is worth to wait for it.
    pub(crate) fn attempts_before(&self, instant: Duration) -> bool {
        let state = self.state();
        let wished = state.wish.is_some() && state.wishes_from <= instant;
        !state.stopped && (state.attempt != Attempt::None || wished || state.due <= instant)
    }

    /// Waits until something holds that can only change with an attempt. Says whether it does.
    pub(crate) fn wait_blocking(&self, within: Duration, holds: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        loop {
            let attempts = self.attempts();
            if holds() {
                return true;
            }
            let mut state = self.state();
            while state.attempts == attempts {
                let Some(left) = within.checked_sub(started.elapsed()).filter(|_| !state.stopped) else {
                    drop(state);
                    return holds();
                };
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// As [`wait_blocking`](Self::wait_blocking), for a task. Needs a tokio runtime with time.
    #[cfg(feature = "tokio")]
    pub(crate) async fn wait(&self, within: Duration, holds: impl Fn() -> bool) -> bool {
        let mut attempted = self.attempted.subscribe();
        let over = attempted.wait_for(|()| holds() || self.is_stopped());
        let _ = tokio::time::timeout(within, over).await;
        holds()
    }

    /// What the follower does next; what it was asked for meanwhile is taken into account.
    pub(super) fn next(&self, source: &mut impl Source, clock: &dyn Clock) -> Next {
        let mut state = self.state();
        if state.stopped {
            return Next::Stop;
        }
        let now = clock.monotonic();
        if let Some(wish) = state.wish.take() {
            source.wish(wish, now);
        }
        state.woken = false;
        state.due = source.due();
        state.wishes_from = source.wishes_from();
        let wait = state.due.saturating_sub(now);
        if !wait.is_zero() {
            return Next::Wait(wait);
        }
        state.attempt = Attempt::Awaiting;
        Next::Ask
    }

    /// An answer is there.
    pub(super) fn answered(&self) {
        self.state().attempt = Attempt::Reading;
    }

    /// An attempt has ended, or needs another request to.
    pub(super) fn attempted(&self, outcome: Result<Progress, String>, source: &impl Source) {
        let mut state = self.state();
        state.attempt = Attempt::None;
        state.due = source.due();
        state.wishes_from = source.wishes_from();
        if outcome == Ok(Progress::Further) {
            return;
        }
        state.attempts += 1;
        if outcome.is_ok() && state.wish_awaits && state.wish == Some(Wish::UnknownKid) {
            // It was met by this answer, or its key is still unknown and the next token will say so again.
            state.wish = None;
        }
        state.last_error = outcome.err();
        drop(state);
        self.changed.notify_all();
        // Without the lock: who waits looks at the state while it holds that of the channel.
        #[cfg(feature = "tokio")]
        self.attempted.send_replace(());
    }

    /// Nobody follows any more. If that was not asked for, the status shall say so.
    fn abandoned(&self) {
        let mut state = self.state();
        if !state.stopped {
            state.last_error =
                Some("nobody asks any more: the runtime is gone, or a fetcher panicked".to_owned());
        }
        (state.stopped, state.attempt) = (true, Attempt::None);
        drop(state);
        self.changed.notify_all();
        #[cfg(feature = "tokio")]
        self.attempted.send_replace(());
    }

    /// The follower's sleep in a thread, also in the middle of a request.
    pub(super) fn sleep_blocking(&self, duration: Duration) {
        let started = Instant::now();
        let mut state = self.state();
        while !state.woken {
            let Some(left) = duration.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
                return;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.woken = false;
    }

    /// The follower's sleep in a task.
    #[cfg(feature = "tokio")]
    pub(super) async fn sleep(&self, duration: Duration) {
        let _ = tokio::time::timeout(duration, self.woken.notified()).await;
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.woken = true;
        drop(state);
        self.changed.notify_all();
        #[cfg(feature = "tokio")]
        self.woken.notify_one();
    }

    /// No code panics while it holds the lock; if it did, the state would still be one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request in a thread is woken.
impl Wake for Link {
    fn wake(self: Arc<Self>) {
        Link::wake(&self, self.state());
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "tokio")]
    use std::thread;

    use super::super::{Arrival, Request};
    use super::*;
    use crate::fetch::{FetchError, FetchResponse};

    /// Due at once, always.
    struct Eager;

    impl Source for Eager {
        fn due(&self) -> Duration {
            Duration::ZERO
        }

        fn wishes_from(&self) -> Duration {
            Duration::ZERO
        }

        fn wish(&mut self, _: Wish, _: Duration) {}

        fn request(&mut self, _: Duration) -> Request {
            unreachable!("nothing is fetched")
        }

        fn receive(&mut self, _: Result<FetchResponse, FetchError>, _: Arrival) -> Result<Progress, String> {
            Ok(Progress::Done)
        }
    }

    /// Who waits takes two locks, and so does who tells that an attempt has ended.
    #[cfg(feature = "tokio")]
    #[test]
    fn many_wait_while_attempts_end() {
        const ATTEMPTS: u64 = 20_000;
        let link = Arc::new(Link::default());
        let follower = Arc::clone(&link);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let link = Arc::clone(&link);
                thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    while link.attempts() < ATTEMPTS {
                        runtime.block_on(link.wait(Duration::ZERO, || link.attempts() >= ATTEMPTS));
                    }
                })
            })
            .collect();
        let attempting = thread::spawn(move || {
            for _ in 0..ATTEMPTS {
                follower.attempted(Ok(Progress::Done), &Eager);
            }
        });
        let started = Instant::now();
        let busy = || !attempting.is_finished() || waiting.iter().any(|waiting| !waiting.is_finished());
        while busy() {
            assert!(started.elapsed() < Duration::from_secs(60), "they wait for each other");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_wish_is_met_by_the_attempt_that_is_under_way_or_the_next() {
        let (link, clock) = (Link::default(), || 0);
        assert!(link.attempts_before(Duration::ZERO), "the first is due at once");
        assert!(matches!(link.next(&mut Eager, &clock), Next::Ask));
        link.wish_unknown_kid(Duration::ZERO);
        assert_eq!(link.wish_now(), 2, "the one under way may be too old to tell");
        link.attempted(Ok(Progress::Done), &Eager);
        assert_eq!(link.state().wish, Some(Wish::Now));
        assert!(matches!(link.next(&mut Eager, &clock), Next::Ask));
        link.wish_unknown_kid(Duration::ZERO);
        link.attempted(Err("down".to_owned()), &Eager);
        assert_eq!(link.state().wish, Some(Wish::UnknownKid), "a failure meets no wish");
        assert!(matches!(link.next(&mut Eager, &clock), Next::Ask));
        link.wish_unknown_kid(Duration::ZERO);
        link.attempted(Ok(Progress::Done), &Eager);
        assert_eq!(link.state().wish, None);
        assert!(matches!(link.next(&mut Eager, &clock), Next::Ask));
        link.answered();
        link.wish_unknown_kid(Duration::ZERO);
        link.attempted(Ok(Progress::Done), &Eager);
        assert_eq!(link.state().wish, Some(Wish::UnknownKid), "the answer came before it");
        link.stop();
        assert!(matches!(link.next(&mut Eager, &clock), Next::Stop));
        assert!(!link.attempts_before(Duration::MAX));
    }
}
