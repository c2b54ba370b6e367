//! The keys of an issuer, fetched from its `jwks_uri` (RFC 8414 §2) by a task in the background.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use attesto_token::{JwkError, JwkSet};
use reqwest::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};

use crate::builder::{BuildError, VerifierBuilder};
use crate::error::Error;
use crate::keys::{KeySet, MAX_AGE, NoUsableKey};
use crate::schedule::Schedule;
use crate::verifier::Verifier;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY_BYTES: usize = 256 * 1024;
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl VerifierBuilder {
    /// Fetches the keys from here instead of `{issuer}/.well-known/jwks.json`.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.source.jwks_url = Some(url.into());
        self
    }

    /// How old the keys may grow before they are fetched again: 10 minutes unless told, from one second to a day.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.source.refresh_interval = interval;
        self
    }

    /// Fetches the keys over plain `http` too. Whoever is on the way can then put in keys of their own; without this,
    /// only loopback addresses may go without TLS.
    pub fn allow_http(mut self) -> Self {
        self.source.allow_http = true;
        self
    }

    /// Builds a verifier that fetches the keys in the background, at once and then at the refresh interval, until its
    /// last clone is dropped. Needs a tokio runtime with time and I/O, and fails with [`BuildError::NoRuntime`]
    /// outside of one.
    ///
    /// It does not wait for the keys, see [`Verifier::ready`]. Until they are there, and again when the issuer could
    /// not be reached for a day, [`Verifier::verify`] fails with [`Error::KeysUnavailable`].
    pub fn build(mut self) -> Result<Verifier, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let source = mem::take(&mut self.source);
        let policy = self.into_policy()?;
        let schedule = source.schedule()?;
        let fetcher = source.fetcher(&policy.issuer)?;
        let keys = Arc::new(ArcSwap::default());
        let refresh = Refresh::start(&runtime, fetcher, schedule, Arc::clone(&keys));
        Ok(Verifier::refreshed(policy, keys, refresh))
    }
}

impl Verifier {
    /// Waits until the first keys are there: at once for a verifier that was built with keys,
    /// [`Error::KeysUnavailable`] if they do not come in time.
    pub async fn ready(&self, within: Duration) -> Result<(), Error> {
        let Some(mut outcome) = self.refresh().map(|refresh| refresh.last_error.clone()) else {
            return Ok(());
        };
        let loaded = outcome.wait_for(|_| self.keys().is_usable(Instant::now()));
        match timeout(within, loaded).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::KeysUnavailable),
        }
    }

    /// What is known of the keys, for health checks and metrics.
    pub fn status(&self) -> KeySetStatus {
        let keys = self.keys();
        KeySetStatus {
            kids: keys.kids().cloned().collect(),
            age: keys.age(Instant::now()),
            last_error: self.refresh().and_then(|refresh| refresh.last_error.borrow().clone()),
        }
    }
}

/// What a [`Verifier`] knows of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySetStatus {
    /// The identifiers of the keys that are held.
    pub kids: Vec<Arc<str>>,
    /// The time since the last successful fetch; `None` for keys that were not fetched.
    pub age: Option<Duration>,
    /// Why the last fetch failed; `None` if it did not.
    pub last_error: Option<String>,
}

/// Where the keys come from, as far as the builder was told.
pub(crate) struct Source {
    jwks_url: Option<String>,
    refresh_interval: Duration,
    allow_http: bool,
}

impl Default for Source {
    fn default() -> Self {
        Self { jwks_url: None, refresh_interval: Duration::from_secs(10 * 60), allow_http: false }
    }
}

impl Source {
    fn schedule(&self) -> Result<Schedule, BuildError> {
        if (SHORTEST_INTERVAL..=MAX_AGE).contains(&self.refresh_interval) {
            Ok(Schedule::new(self.refresh_interval, Instant::now()))
        } else {
            Err(BuildError::RefreshInterval)
        }
    }

    fn fetcher(&self, issuer: &str) -> Result<Fetcher, BuildError> {
        let url = match &self.jwks_url {
            Some(url) => Url::parse(url),
            None => Url::parse(&format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'))),
        };
        let url = url.map_err(|_| BuildError::JwksUrlInvalid)?;
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback || self.allow_http => {}
            "http" => return Err(BuildError::JwksUrlInsecure),
            _ => return Err(BuildError::JwksUrlInvalid),
        }
        let mut client = Client::builder()
            .user_agent(concat!("attesto-verifier/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        if loopback {
            // Plain http is safe only if it does not leave the machine.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| BuildError::HttpClient(error.to_string()))?;
        Ok(Fetcher { client, url, last: None })
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The verifier's end of the background task, which ends with it.
pub(crate) struct Refresh {
    unknown_kid: Arc<Notify>,
    last_error: watch::Receiver<Option<String>>,
    task: AbortHandle,
}

impl Refresh {
    fn start(runtime: &Handle, fetcher: Fetcher, schedule: Schedule, keys: Arc<ArcSwap<KeySet>>) -> Self {
        let unknown_kid = Arc::new(Notify::new());
        let (outcome, last_error) = watch::channel(None);
        let task =
            Task { fetcher, schedule, keys, unknown_kid: Arc::clone(&unknown_kid), last_error: outcome };
        Self { unknown_kid, last_error, task: runtime.spawn(task.run()).abort_handle() }
    }

    /// Asks for a fetch, without waiting for it.
    pub(crate) fn unknown_kid(&self) {
        self.unknown_kid.notify_one();
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    fetcher: Fetcher,
    schedule: Schedule,
    keys: Arc<ArcSwap<KeySet>>,
    unknown_kid: Arc<Notify>,
    last_error: watch::Sender<Option<String>>,
}

impl Task {
    async fn run(mut self) {
        loop {
            self.wait_until_due().await;
            let started = Instant::now();
            match self.fetcher.fetch().await {
                Ok(keys) => {
                    self.keys.store(Arc::new(keys.fetched(started)));
                    self.schedule.succeeded(Instant::now(), lot());
                    self.last_error.send_replace(None);
                }
                Err(error) => {
                    self.schedule.failed(Instant::now(), lot());
                    self.last_error.send_replace(Some(error.to_string()));
                }
            }
        }
    }

    async fn wait_until_due(&mut self) {
        while Instant::now() < self.schedule.due() {
            let unknown_kid = timeout_at(self.schedule.due().into(), self.unknown_kid.notified()).await;
            if unknown_kid.is_ok() {
                self.schedule.unknown_kid(Instant::now());
            }
        }
    }
}

/// A number between 0 and 1. Not for secrets: it only keeps verifiers from asking in step.
fn lot() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

struct Fetcher {
    client: Client,
    url: Url,
    /// The last good answer that had an `ETag`.
    last: Option<(HeaderValue, KeySet)>,
}

impl Fetcher {
    async fn fetch(&mut self) -> Result<KeySet, FetchError> {
        // A shared cache may lag behind a rotation by its max-age; it has to ask the issuer.
        let mut request = self.client.get(self.url.clone()).header(CACHE_CONTROL, "no-cache");
        if let Some((etag, _)) = &self.last {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        match (response.status(), &self.last) {
            (StatusCode::OK, _) => {
                let etag = response.headers().get(ETAG).cloned();
                let keys = KeySet::new(&JwkSet::parse(&body(response).await?)?)?;
                self.last = etag.map(|etag| (etag, keys.clone()));
                Ok(keys)
            }
            (StatusCode::NOT_MODIFIED, Some((_, keys))) => Ok(keys.clone()),
            (status, _) => Err(FetchError::Status(status)),
        }
    }
}

/// Reads the body, and stops as soon as it is too large.
async fn body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{}", with_causes(.0))]
    Http(#[from] reqwest::Error),
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
    #[error(transparent)]
    Jwks(#[from] JwkError),
    #[error(transparent)]
    NoUsableKey(#[from] NoUsableKey),
}

/// `reqwest` hides what went wrong in the chain of causes.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = text + ": " + &error.to_string();
        cause = error.source();
    }
    text
}
