use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Site;
use super::world::{Asked, Held, Reply};
use crate::clock::Clock;
use crate::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};

/// Where the requests of one verifier come in.
pub(super) struct Door {
    pub(super) site: Arc<Site>,
    pub(super) number: u64,
}

/// A request that waits for its answer.
struct Visit {
    site: Arc<Site>,
    door: u64,
    number: u64,
    asked: Asked,
}

impl Fetch for Door {
    fn get<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
        let asked = Asked {
            url: request.url.to_owned(),
            etag: request.etag.map(str::to_owned),
            timeout: request.timeout,
            max_bytes: request.max_bytes,
            at: self.site.clock.monotonic(),
            began: Instant::now(),
        };
        let mut world = self.site.world();
        world.requests.push(asked.url.clone());
        let number = world.number();
        Box::pin(Visit { site: Arc::clone(&self.site), door: self.number, number, asked })
    }
}

impl Future for Visit {
    type Output = Result<FetchResponse, FetchError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let clock = &self.site.clock;
        let mut world = self.site.world();
        match world.reply(&self.asked, clock.monotonic(), clock.issuer_now()) {
            Reply::Now(answer) => Poll::Ready(answer),
            Reply::NotBefore(until) => {
                let (door, changes, waker) = (self.door, world.changes, context.waker().clone());
                world.held.insert(self.number, Held { door, changes, until, waker });
                Poll::Pending
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let held = self.site.world().held.remove(&self.number);
        // Its waker may be the last to hold a task: not while the world is locked.
        drop(held);
    }
}
