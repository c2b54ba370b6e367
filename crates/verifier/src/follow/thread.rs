//! The driver on a thread of its own, without any runtime.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::link::{Following, Next};
use super::{Arrival, Link, Source};
use crate::clock::Clock;
use crate::fetch::Fetch;
use crate::lot::lot;

pub(crate) fn start(
    name: &str,
    source: impl Source,
    link: Arc<Link>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
) -> io::Result<()> {
    let run = move || {
        let _following = Following(Arc::clone(&link));
        run(source, &link, &*fetch, &*clock);
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

fn run(mut source: impl Source, link: &Arc<Link>, fetch: &dyn Fetch, clock: &dyn Clock) {
    loop {
        match link.next(&mut source, clock) {
            Next::Stop => return,
            Next::Wait(duration) => link.sleep_blocking(duration),
            Next::Ask => {
                let asked_at = clock.monotonic();
                let request = source.request(asked_at);
                let answer = block_on(request.get(fetch), request.timeout, link);
                if link.is_stopped() {
                    return;
                }
                link.answered();
                let answer = request.checked(answer);
                let arrived = Arrival { asked_at, at: clock.monotonic(), unix: clock.unix_now(), lot: lot() };
                let outcome = source.receive(answer, arrived);
                link.attempted(outcome, &source);
            }
        }
    }
}

/// Polls a future to its end on this thread, or gives it up: after a while, or when nobody verifies any more.
fn block_on<F: Future>(future: F, within: Duration, link: &Arc<Link>) -> Option<F::Output> {
    let started = Instant::now();
    let waker = Waker::from(Arc::clone(link));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let left = within.checked_sub(started.elapsed()).filter(|left| !left.is_zero())?;
        link.sleep_blocking(left);
        if link.is_stopped() {
            return None;
        }
    }
}
