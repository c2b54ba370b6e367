//! The driver on a tokio runtime.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::timeout;

use super::link::{Following, Next};
use super::{Arrival, Link, Source};
use crate::clock::Clock;
use crate::fetch::Fetch;
use crate::lot::lot;

/// An answer that is longer takes milliseconds to read, which other tasks need not wait for.
const LONG: usize = 64 * 1024;

pub(crate) fn start(
    runtime: &Handle,
    source: impl Source,
    link: Arc<Link>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
) -> AbortHandle {
    let following = Following(Arc::clone(&link));
    let run = async move {
        let _following = following;
        run(source, link, fetch, clock).await;
    };
    runtime.spawn(run).abort_handle()
}

async fn run(mut source: impl Source, link: Arc<Link>, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) {
    loop {
        match link.next(&mut source, &*clock) {
            Next::Stop => return,
            Next::Wait(duration) => link.sleep(duration).await,
            Next::Ask => {
                let asked_at = clock.monotonic();
                let request = source.request(asked_at);
                let answer = timeout(request.timeout, request.get(&*fetch)).await.ok();
                link.answered();
                let answer = request.checked(answer);
                let arrived = Arrival { asked_at, at: clock.monotonic(), unix: clock.unix_now(), lot: lot() };
                let long = answer.as_ref().is_ok_and(|response| response.body.len() > LONG);
                let receive = move || (source.receive(answer, arrived), source);
                let (outcome, back) = if long {
                    let Ok(received) = spawn_blocking(receive).await else { return };
                    received
                } else {
                    receive()
                };
                source = back;
                link.attempted(outcome, &source);
            }
        }
    }
}
