use std::sync::Arc;
use std::time::Duration;

use attesto_token::JwkSet;

use super::discovery::Discovery;
use super::{Arrival, Request, Schedule, Source, Wish};
use crate::event::Event;
use crate::fetch::{FetchError, FetchResponse};
use crate::keys::KeySet;
use crate::trust::Shared;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The keys of the issuer, from its `jwks_uri` (RFC 8414 §2).
pub(crate) struct KeySource {
    shared: Arc<Shared>,
    schedule: Schedule,
    discovery: Option<Discovery>,
    url: String,
    /// Of the last good answer.
    etag: Option<String>,
}

impl KeySource {
    pub(crate) fn new(shared: Arc<Shared>, schedule: Schedule, url: String) -> Self {
        Self { shared, schedule, discovery: None, url, etag: None }
    }

    /// Asks for the address of the keys first.
    pub(crate) fn discover(self, discovery: Option<Discovery>) -> Self {
        Self { discovery, ..self }
    }

    /// Takes a good answer in; what is left to do is when to ask again.
    fn take(&mut self, response: &FetchResponse, arrived: Arrival) -> Result<Option<Duration>, String> {
        match response.status {
            200 => {
                let jwks = JwkSet::parse(&response.body).map_err(|error| error.to_string())?;
                for refused in &jwks.refused {
                    let (kid, reason) = (refused.kid.as_deref(), &refused.reason);
                    self.shared.events.send(&Event::KeyRefused { kid, reason });
                }
                let keys = KeySet::new(&jwks).map_err(|error| error.to_string())?;
                self.shared.replace_keys(keys, &response.body, arrived);
                self.etag.clone_from(&response.etag);
            }
            304 if self.etag.is_some() => self.shared.confirm_keys(arrived),
            status => return Err(format!("the issuer answered with status {status}")),
        }
        Ok(max_age(response))
    }
}

impl Source for KeySource {
    fn due(&self) -> Duration {
        self.schedule.due()
    }

    fn wishes_from(&self) -> Duration {
        self.schedule.unknown_kid_from()
    }

    fn wish(&mut self, wish: Wish, now: Duration) {
        match wish {
            Wish::UnknownKid => self.schedule.unknown_kid(now),
            Wish::Now => self.schedule.now(now),
        }
    }

    fn request(&mut self, _: Duration) -> Request {
        let url = self.discovery.as_ref().map_or(&self.url, |discovery| &discovery.url).clone();
        let etag = self.etag.clone();
        Request { url, etag, access_token: None, max_bytes: MAX_BODY_BYTES, timeout: TIMEOUT }
    }

    fn receive(&mut self, answer: Result<FetchResponse, FetchError>, arrived: Arrival) -> Result<(), String> {
        let outcome = answer.map_err(|error| error.to_string()).and_then(|response| {
            self.shared.measure_skew(&response, arrived);
            if let Some(discovery) = &self.discovery {
                self.url = discovery.jwks_uri(&response)?;
                self.discovery = None;
                return Ok(None);
            }
            self.take(&response, arrived).map(Some)
        });
        match outcome {
            // Where the keys are is known now: they are asked for at once.
            Ok(None) => self.schedule.now(arrived.at),
            Ok(Some(max_age)) => self.schedule.succeeded(arrived.at, max_age, arrived.lot),
            Err(error) => {
                self.schedule.failed(arrived.at, arrived.lot);
                self.shared.keys_failed(&error, arrived);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(response: &FetchResponse) -> Option<Duration> {
    let directives = response.cache_control.as_deref()?.split(',');
    let seconds = directives.filter_map(|directive| directive.trim().split_once('='));
    let (_, seconds) = seconds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}
