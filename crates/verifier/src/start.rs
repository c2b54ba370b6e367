//! From what a builder was told to a verifier that follows its issuer.

use std::sync::Arc;
use std::time::Duration;

use attesto_token::JwkSet;
use attesto_token::feed::RevocationList;

use crate::builder::{BuildError, KeysFrom, VerifierBuilder};
use crate::clock::Moment;
use crate::event::Event;
use crate::fetch::Fetch;
use crate::follow::{Discovery, Driver, FeedSource, KeySource, Schedule};
use crate::keys::KeySet;
use crate::revocations::{Feed, Revocations};
use crate::state::{self, Kept, Saved};
use crate::trust::{Shared, Trust};
use crate::url::{self, BadUrl};
use crate::verifier::{FollowedFeed, Inner, Verifier};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the keys are.
enum Address {
    At(String),
    Discovered(Discovery),
}

/// What is known before anything was fetched.
#[derive(Default)]
struct Memory {
    keys: Option<KeySet>,
    feed_keys: Option<KeySet>,
    revocations: RevocationList,
    fed_at: Option<(Moment, i64)>,
}

impl VerifierBuilder {
    pub(crate) fn start(self, fetch: &Arc<dyn Fetch>, driver: &Driver) -> Result<Verifier, BuildError> {
        let policy = self.policy()?;
        let schedule = self.schedule()?;
        let address = self.keys_from()?;
        let feed = self.feed()?;
        let saved = self.saved();
        let memory = self.memory(saved.as_ref(), policy.max_key_age)?;
        let Self { issuer, clock, events, state_file, .. } = self;

        let trust = Trust::new(memory.keys.unwrap_or_default(), memory.revocations.clone());
        let mut shared = Shared::new(issuer, trust, Arc::clone(&clock), events);
        if let Some((at, unix)) = memory.fed_at {
            shared.fed(at, unix);
        }
        shared.kept =
            state_file.is_some().then(|| Arc::new(Kept::new(shared.issuer(), saved, &memory.revocations)));
        let shared = Arc::new(shared);

        let keys = match address {
            Address::At(url) => KeySource::at(url, Arc::clone(&shared), schedule),
            Address::Discovered(discovery) => KeySource::discovered(discovery, Arc::clone(&shared), schedule),
        };
        let keys = driver.start("attesto-keys", keys, fetch, &clock)?;
        let now = clock.monotonic();
        let feed = match feed {
            Some((url, Feed { on_stale, access_token, .. })) => {
                let known = (memory.feed_keys, memory.revocations);
                let source = FeedSource::new(
                    Arc::clone(&shared),
                    url,
                    access_token,
                    self.refresh_interval,
                    known,
                    now,
                );
                let follower = driver.start("attesto-feed", source, fetch, &clock)?;
                Some(FollowedFeed { follower, on_stale, since: now })
            }
            None => None,
        };
        if let Some((kept, path)) = shared.kept.clone().zip(state_file) {
            let told = Arc::clone(&shared);
            state::keep_writing(kept, path, move |reason| {
                told.events.send(&Event::StateFileFailed { reason });
            })
            .map_err(|error| BuildError::Thread(error.to_string()))?;
        }
        let mut inner = Inner::offline(policy, shared, self.token_cache);
        inner.follow(keys, self.unknown_kid_wait, feed);
        let verifier = Verifier::new(inner);
        #[cfg(feature = "testkit")]
        if let Some(guestbook) = &self.guestbook {
            guestbook.enter(&verifier, matches!(driver, Driver::Thread));
        }
        Ok(verifier)
    }

    fn schedule(&self) -> Result<Schedule, BuildError> {
        if !(SECOND..=DAY).contains(&self.refresh_interval) {
            return Err(BuildError::RefreshInterval);
        }
        if !(SECOND..=DAY).contains(&self.unknown_kid_gap) {
            return Err(BuildError::UnknownKidGap);
        }
        Ok(Schedule::new(self.refresh_interval, self.unknown_kid_gap, self.clock.monotonic()))
    }

    fn keys_from(&self) -> Result<Address, BuildError> {
        let url = match &self.keys {
            KeysFrom::WellKnown => self.below("/.well-known/jwks.json"),
            KeysFrom::Url(url) => url.clone(),
            KeysFrom::Metadata => {
                let discovery = Discovery::new(&self.issuer, self.allow_http);
                self.check_url(&discovery.url)?;
                return Ok(Address::Discovered(discovery));
            }
        };
        self.check_url(&url)?;
        Ok(Address::At(url))
    }

    fn feed(&self) -> Result<Option<(String, Feed)>, BuildError> {
        let feed = match &self.revocations {
            Some(Revocations::Off) => return Ok(None),
            Some(Revocations::Feed(feed)) => feed.clone(),
            None => Feed::new(),
        };
        let url = feed.url.clone().unwrap_or_else(|| self.below("/revocations"));
        let url = url.trim_end_matches('/').to_owned();
        self.check_url(&url)?;
        if url.contains(['?', '#']) {
            return Err(BuildError::UrlInvalid(url));
        }
        Ok(Some((url, feed)))
    }

    fn below(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }

    fn check_url(&self, url: &str) -> Result<(), BuildError> {
        url::check(url, self.allow_http).map_err(|bad| match bad {
            BadUrl::Invalid => BuildError::UrlInvalid(url.to_owned()),
            BadUrl::Insecure => BuildError::UrlInsecure(url.to_owned()),
        })
    }

    fn saved(&self) -> Option<Saved> {
        let path = self.state_file.as_ref()?;
        state::read(path, &self.issuer).unwrap_or_else(|reason| {
            self.events.send(&Event::StateFileFailed { reason: &reason });
            None
        })
    }

    /// What the state file has goes before the keys to begin with: it is younger, unless it is too old to be used.
    fn memory(&self, saved: Option<&Saved>, max_key_age: Duration) -> Result<Memory, BuildError> {
        let (now, unix) = (self.clock.monotonic(), self.clock.unix_now());
        let since =
            |at: i64| Moment::new(now, Duration::from_secs(unix.saturating_sub(at).max(0).cast_unsigned()));
        let mut memory = Memory::default();
        if let Some(seed) = &self.seed {
            let keys = key_set(seed).ok_or(BuildError::SeedInvalid)?;
            memory.keys = Some(keys.confirmed(since(unix)));
        }
        let Some(saved) = saved else { return Ok(memory) };
        if let Some(kept) = &saved.keys {
            match key_set(&kept.jwks).map(|keys| keys.confirmed(since(kept.confirmed_at))) {
                Some(keys) if memory.keys.is_some() && !keys.is_usable(|| now, max_key_age) => {}
                Some(keys) => memory.keys = Some(keys),
                None => self.unreadable("keys"),
            }
        }
        if let Some(feed) = &saved.feed {
            match feed.list() {
                Some(list) => {
                    memory.feed_keys = key_set(&feed.jwks);
                    memory.revocations = list;
                    // Of a file from the future nobody knows how old it is.
                    let known = feed.confirmed_at <= unix.saturating_add(60);
                    memory.fed_at = known.then(|| (since(feed.confirmed_at), feed.confirmed_at));
                }
                None => self.unreadable("revocations"),
            }
        }
        Ok(memory)
    }

    fn unreadable(&self, what: &str) {
        let reason = format!("its {what} cannot be read");
        self.events.send(&Event::StateFileFailed { reason: &reason });
    }
}

fn key_set(jwks: &str) -> Option<KeySet> {
    KeySet::new(&JwkSet::parse(jwks.as_bytes()).ok()?).ok()
}
