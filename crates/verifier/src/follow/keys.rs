use std::sync::Arc;
use std::time::Duration;

use attesto_token::JwkSet;

use super::discovery::Discovery;
use super::{Arrival, Progress, Request, Schedule, Source, Wish};
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
    /// Where the keys are; unknown until the metadata say so, and again after a failure: they may have moved.
    url: Option<String>,
    /// Of the last good answer.
    etag: Option<String>,
}

impl KeySource {
    pub(crate) fn at(url: String, shared: Arc<Shared>, schedule: Schedule) -> Self {
        Self { shared, schedule, discovery: None, url: Some(url), etag: None }
    }

    /// Asks for the address of the keys first.
    pub(crate) fn discovered(discovery: Discovery, shared: Arc<Shared>, schedule: Schedule) -> Self {
        Self { shared, schedule, discovery: Some(discovery), url: None, etag: None }
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
            304 if self.etag.is_some() => {
                if !self.shared.confirm_keys(arrived) {
                    return Err(
                        "the program has replaced the keys meanwhile: they are fetched anew".to_owned()
                    );
                }
            }
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
        let metadata = self.discovery.as_ref().map(|discovery| &discovery.url);
        let url = self.url.as_ref().or(metadata).cloned().unwrap_or_default();
        let etag = self.etag.clone();
        Request { url, etag, access_token: None, max_bytes: MAX_BODY_BYTES, timeout: TIMEOUT }
    }

    fn receive(
        &mut self,
        answer: Result<FetchResponse, FetchError>,
        arrived: Arrival,
    ) -> Result<Progress, String> {
        let taken = answer.map_err(|error| error.to_string()).and_then(|response| {
            self.shared.measure_skew(&response, arrived);
            match (&self.url, &self.discovery) {
                (None, Some(discovery)) => {
                    self.url = Some(discovery.jwks_uri(&response)?);
                    Ok(None)
                }
                _ => self.take(&response, arrived).map(Some),
            }
        });
        match taken {
            Ok(None) => {
                self.schedule.now(arrived.at);
                Ok(Progress::Further)
            }
            Ok(Some(max_age)) => {
                self.schedule.succeeded(arrived.at, max_age, arrived.lot);
                Ok(Progress::Done)
            }
            Err(error) => {
                self.schedule.failed(arrived.at, arrived.lot);
                // Whatever was wrong, the next answer shall be a whole one, from where the keys are by then.
                self.etag = None;
                self.url.take_if(|_| self.discovery.is_some());
                self.shared.keys_failed(&error, arrived);
                Err(error)
            }
        }
    }
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(response: &FetchResponse) -> Option<Duration> {
    let directives = response.cache_control.as_deref()?.split(',');
    let seconds = directives.filter_map(|directive| directive.trim().split_once('='));
    let (_, seconds) = seconds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}
