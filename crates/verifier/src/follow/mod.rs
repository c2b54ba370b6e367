//! What goes on in the background: requests that are due, and what their answers mean.
//!
//! A [`Source`] decides and never waits: times and answers come in as values. A driver, in a task or in a thread, does
//! the waiting and the asking.

mod discovery;
mod feed;
mod keys;
mod link;
mod schedule;
#[cfg(feature = "tokio")]
mod task;
mod thread;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use discovery::Discovery;
pub(crate) use feed::FeedSource;
pub(crate) use keys::KeySource;
#[cfg(feature = "testkit")]
pub(crate) use link::Rest;
pub(crate) use link::{Link, Wish};
pub(crate) use schedule::Schedule;

use crate::builder::BuildError;
use crate::clock::Clock;
use crate::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};

/// Where the waiting and the asking is done.
pub(crate) enum Driver {
    #[cfg(feature = "tokio")]
    Task(tokio::runtime::Handle),
    Thread,
}

/// Somebody who follows a source, until this is dropped.
pub(crate) struct Follower {
    pub(crate) link: Arc<Link>,
    #[cfg(feature = "tokio")]
    task: Option<tokio::task::AbortHandle>,
}

/// Something that is asked for again and again.
pub(crate) trait Source: Send + 'static {
    /// When to ask next, by the monotonic clock.
    fn due(&self) -> Duration;

    /// From when on a wish is granted that anybody can cause.
    fn wishes_from(&self) -> Duration;

    fn wish(&mut self, wish: Wish, now: Duration);

    fn request(&mut self, now: Duration) -> Request;

    /// Takes the answer in, and decides when to ask next.
    fn receive(
        &mut self,
        answer: Result<FetchResponse, FetchError>,
        arrived: Arrival,
    ) -> Result<Progress, String>;
}

/// What a good answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What was asked for is there.
    Done,
    /// Another request, at once.
    Further,
}

/// What to ask for.
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) etag: Option<String>,
    pub(crate) access_token: Option<String>,
    pub(crate) max_bytes: usize,
    pub(crate) timeout: Duration,
}

/// When something came back.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// When it was asked for, by the monotonic clock.
    pub(crate) asked_at: Duration,
    /// When the last byte was there.
    pub(crate) at: Duration,
    /// The same in seconds since 1970.
    pub(crate) unix: i64,
    /// Between 0 and 1.
    pub(crate) lot: f64,
}

impl Driver {
    pub(crate) fn start(
        &self,
        name: &str,
        source: impl Source,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Follower, BuildError> {
        let link = Arc::new(Link::default());
        let (fetch, clock) = (Arc::clone(fetch), Arc::clone(clock));
        match self {
            #[cfg(feature = "tokio")]
            Self::Task(runtime) => {
                let task = task::start(runtime, source, Arc::clone(&link), fetch, clock);
                Ok(Follower { link, task: Some(task) })
            }
            Self::Thread => {
                thread::start(name, source, Arc::clone(&link), fetch, clock)
                    .map_err(|error| BuildError::Thread(error.to_string()))?;
                Ok(Follower {
                    link,
                    #[cfg(feature = "tokio")]
                    task: None,
                })
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.link.stop();
        #[cfg(feature = "tokio")]
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Request {
    fn get<'a>(
        &'a self,
        fetch: &'a dyn Fetch,
    ) -> impl Future<Output = Result<FetchResponse, FetchError>> + Send + 'a {
        fetch.get(FetchRequest {
            url: &self.url,
            etag: self.etag.as_deref(),
            access_token: self.access_token.as_deref(),
            max_bytes: self.max_bytes,
            timeout: self.timeout,
        })
    }

    /// What an implementation of [`Fetch`] may have failed to see to.
    fn checked(
        &self,
        answer: Option<Result<FetchResponse, FetchError>>,
    ) -> Result<FetchResponse, FetchError> {
        let response = answer.unwrap_or_else(|| Err(FetchError::timeout(self.timeout)))?;
        if response.body.len() > self.max_bytes {
            return Err(FetchError::too_large(self.max_bytes));
        }
        Ok(response)
    }
}
