use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attesto_token::feed::RevocationList;
use attesto_token::{Algorithm, JwkSet};

use crate::clock::{Clock, SystemClock};
use crate::event::{Event, Events};
use crate::fetch::{self, Fetch};
use crate::follow::Driver;
use crate::keys::{KeySet, NoUsableKey};
use crate::policy::{Audience, Policy, TokenType};
use crate::revocations::Revocations;
#[cfg(feature = "testkit")]
use crate::testkit::Guestbook;
use crate::trust::{Shared, Trust};
use crate::verifier::{Inner, Verifier};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_LEEWAY: Duration = Duration::from_secs(60);
const MAX_TOKEN_CACHE: usize = 1_000_000;

/// What a [`Verifier`] shall accept, and how it gets to know what it needs. Made by [`Verifier::builder`].
#[must_use = "a builder verifies nothing"]
pub struct VerifierBuilder {
    pub(crate) issuer: String,
    audience: Audience,
    algorithms: Vec<Algorithm>,
    token_type: TokenType,
    leeway: Duration,
    issuer_ahead: Duration,
    required_scopes: Vec<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) token_cache: usize,
    pub(crate) keys: KeysFrom,
    pub(crate) refresh_interval: Duration,
    pub(crate) max_stale: Duration,
    pub(crate) unknown_kid_gap: Duration,
    pub(crate) unknown_kid_wait: Duration,
    pub(crate) revocations: Option<Revocations>,
    pub(crate) seed: Option<String>,
    pub(crate) state_file: Option<PathBuf>,
    pub(crate) allow_http: bool,
    pub(crate) fetch: Option<Arc<dyn Fetch>>,
    #[cfg(feature = "testkit")]
    pub(crate) guestbook: Option<Guestbook>,
}

pub(crate) enum KeysFrom {
    WellKnown,
    Url(String),
    Metadata,
}

/// Why a verifier cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is empty, or there is none.
    #[error("an issuer is required")]
    IssuerMissing,
    /// No audience was given, or an empty one: a token for any other service would be accepted (RFC 9068 §4).
    #[error("an audience is required")]
    AudienceMissing,
    /// The list of algorithms is empty.
    #[error("an algorithm is required")]
    AlgorithmMissing,
    /// The leeway, for all clocks or for that of the issuer, is longer than 60 seconds.
    #[error("the leeway is longer than 60 seconds")]
    LeewayTooLong,
    /// The token cache is for more than a million tokens.
    #[error("the token cache is for more than a million tokens")]
    TokenCacheTooLarge,
    /// See [`NoUsableKey`].
    #[error(transparent)]
    NoUsableKey(#[from] NoUsableKey),
    /// The keys to begin with are not a JWK Set with a usable key.
    #[error("the keys to begin with are no JWK Set with a usable key")]
    SeedInvalid,
    /// This address, of the issuer or of something below it unless told, is no `http` or `https` URL that can be fetched
    /// from: it has credentials, or that of a feed has a query.
    #[error("{0:?} is not an address to fetch from: https://… is needed")]
    UrlInvalid(String),
    /// This address, of the issuer or of something below it unless told, is neither `https` nor a loopback address.
    #[error("{0:?} is not https; `allow_http` permits it where nobody else is on the way")]
    UrlInsecure(String),
    /// The refresh interval is shorter than a second or longer than a day.
    #[error("the refresh interval is shorter than a second or longer than a day")]
    RefreshInterval,
    /// The gap between fetches for unknown keys is shorter than a second or longer than a day.
    #[error("the gap between fetches for unknown keys is shorter than a second or longer than a day")]
    UnknownKidGap,
    /// Two verifiers are for the same issuer.
    #[error("two verifiers are for the same issuer")]
    IssuerTwice,
    /// A feed was asked for, and nothing is to be fetched.
    #[error("a verifier that fetches nothing cannot follow a revocation feed")]
    FeedOffline,
    /// There is no tokio runtime here to fetch keys on.
    #[error("there is no tokio runtime: call `build` inside one, or use `build_blocking`")]
    NoRuntime,
    /// There is nothing to fetch with: neither the feature that brings it nor [`VerifierBuilder::fetcher`].
    #[error("there is nothing to fetch with: enable the feature `{0}`, or give a fetcher")]
    NoFetcher(&'static str),
    /// The HTTP client does not start; without the certificates of the system, for example.
    #[error("the HTTP client does not start: {0}")]
    HttpClient(String),
    /// The operating system does not start a thread.
    #[error("no thread can be started: {0}")]
    Thread(String),
}

impl VerifierBuilder {
    pub(crate) fn new(issuer: String) -> Self {
        Self {
            issuer,
            audience: Audience::OneOf(Vec::new()),
            algorithms: vec![Algorithm::Rs256],
            token_type: TokenType::default(),
            leeway: Duration::from_secs(30),
            issuer_ahead: Duration::ZERO,
            required_scopes: Vec::new(),
            clock: Arc::new(SystemClock),
            events: Events::default(),
            token_cache: 0,
            keys: KeysFrom::WellKnown,
            refresh_interval: Duration::from_secs(10 * 60),
            max_stale: DAY,
            unknown_kid_gap: Duration::from_secs(10),
            unknown_kid_wait: Duration::from_secs(2),
            revocations: None,
            seed: None,
            state_file: None,
            allow_http: false,
            fetch: None,
            #[cfg(feature = "testkit")]
            guestbook: None,
        }
    }

    /// Accepts tokens for this audience. Required; if called repeatedly, any of them will do.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let mut ours = match self.audience {
            Audience::OneOf(ours) => ours,
            Audience::Any => Vec::new(),
        };
        ours.push(audience.into());
        self.audience = Audience::OneOf(ours);
        self
    }

    /// Accepts tokens for whomever they are. That is right for the issuer itself and for a gateway that passes the
    /// token on; a service that does so accepts tokens that were made for any other (RFC 9068 §5).
    pub fn any_audience(mut self) -> Self {
        self.audience = Audience::Any;
        self
    }

    /// Accepts these algorithms instead of RS256 alone.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Accepts this kind of token instead of access tokens.
    pub fn token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// How far the clocks may lie apart, in whole seconds: 30 unless told, at most 60.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How much further ahead the issuer's clock may be, in whole seconds: this counts for `iat` and `nbf` only, so that
    /// `exp` can be exact (a leeway of zero) where several servers issue tokens and check each other's. Nothing unless
    /// told, at most 60.
    pub fn issuer_ahead(mut self, by: Duration) -> Self {
        self.issuer_ahead = by;
        self
    }

    /// Refuses every token that does not have all of these scopes, beside those of earlier calls, as
    /// [`InsufficientScope`](crate::Error::InsufficientScope).
    pub fn require_scopes(mut self, scopes: &[&str]) -> Self {
        self.required_scopes.extend(scopes.iter().copied().map(str::to_owned));
        self
    }

    /// Takes the time from this clock instead of the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells this function what happens. It is called by whoever it happens to, and must not wait.
    pub fn on_event(mut self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.events = Events::to(listener);
        self
    }

    /// Remembers the verdict on so many good tokens: none unless told. A token that comes again costs its digest
    /// instead of its signature, until anything changes: time, keys or revocations. Worth it from some ten thousand
    /// checks in a second on. A million at most: each takes a hundred bytes from the beginning, and about a kilobyte when
    /// it is there.
    pub fn token_cache(mut self, entries: usize) -> Self {
        self.token_cache = entries;
        self
    }

    /// Fetches the keys from here instead of `{issuer}/.well-known/jwks.json`.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.keys = KeysFrom::Url(url.into());
        self
    }

    /// Fetches the keys from the `jwks_uri` in the issuer's metadata (RFC 8414), which must be those of this very
    /// issuer.
    pub fn discover(mut self) -> Self {
        self.keys = KeysFrom::Metadata;
        self
    }

    /// How old the keys may grow before they are fetched again: 10 minutes unless told, from one second to a day. It
    /// happens up to a fifth ahead, and sooner if the issuer says so by `max-age`, though not within 30 seconds.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// How long keys serve after the last good fetch: a day unless told, and never shorter than the refresh interval.
    /// With zero, tokens are refused (503) as soon as one refresh has failed for its whole interval.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// How often unknown keys may cause a fetch: one in 10 seconds unless told, since anybody can make up a `kid`. And
    /// how long `verify_fresh` and [`Verifier::verify_blocking`] wait for it: 2 seconds unless told.
    pub fn unknown_kid(mut self, gap: Duration, wait: Duration) -> Self {
        (self.unknown_kid_gap, self.unknown_kid_wait) = (gap, wait);
        self
    }

    /// How the issuer's ended sessions get known. By default its feed at `{issuer}/revocations` is followed, where
    /// anything is fetched at all; [`Revocations::Off`] is for an issuer that has none.
    pub fn revocations(mut self, revocations: impl Into<Revocations>) -> Self {
        self.revocations = Some(revocations.into());
        self
    }

    /// Begins with the keys of this JWK Set, if the issuer is down at first.
    pub fn seed_jwks(mut self, json: impl Into<String>) -> Self {
        self.seed = Some(json.into());
        self
    }

    /// Keeps keys and revocations in this file, and begins with them after a restart. They are believed: it is made
    /// readable and writable for its owner alone, and not read if others may write to it or to its folder, or if either
    /// belongs to somebody else than this process or root. A file that cannot be read or written is an
    /// [`Event::StateFileFailed`] and nothing worse. Each verifier needs a file of its own.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_file = Some(path.into());
        self
    }

    /// Fetches over plain `http` too. Whoever is on the way can then put in keys of their own; without this, only
    /// loopback addresses may go without TLS.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Fetches by this instead of the HTTP client that is built in.
    pub fn fetcher(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Builds a verifier with the keys of this set. It never touches the network; new keys come in through
    /// [`Verifier::replace_keys`].
    ///
    /// # Errors
    ///
    /// A setting that is missing or out of its bounds, [`BuildError::NoUsableKey`], or [`BuildError::FeedOffline`] if a
    /// feed was asked for.
    pub fn build_offline(self, jwks: &JwkSet) -> Result<Verifier, BuildError> {
        if matches!(self.revocations, Some(Revocations::Feed(_))) {
            return Err(BuildError::FeedOffline);
        }
        let policy = self.policy()?;
        let trust = Trust::new(KeySet::new(jwks)?, RevocationList::default());
        let shared = Arc::new(Shared::new(self.issuer, trust, self.clock, self.events));
        Ok(Verifier::new(Inner::offline(policy, shared, self.token_cache)))
    }

    /// Builds a verifier that fetches keys and follows the feed in the background, on the current tokio runtime, until
    /// its last clone is dropped. The runtime needs time and I/O.
    ///
    /// It does not wait for the keys, see [`Verifier::ready`]. Until they are there, and again when the issuer could
    /// not be reached for a day, [`Verifier::verify`] fails with
    /// [`Error::KeysUnavailable`](crate::Error::KeysUnavailable).
    ///
    /// # Errors
    ///
    /// A setting that is missing or out of its bounds; an address that is no URL, or neither `https` nor loopback;
    /// [`BuildError::SeedInvalid`]; [`BuildError::NoRuntime`] outside of a runtime; [`BuildError::NoFetcher`] and
    /// [`BuildError::HttpClient`]; [`BuildError::Thread`] for that of the state file. That the issuer cannot be reached is
    /// none of them.
    #[cfg(feature = "tokio")]
    pub fn build(mut self) -> Result<Verifier, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let fetch = self.fetch.take().map_or_else(fetch::for_tasks, Ok)?;
        self.start(&fetch, &Driver::Task(runtime))
    }

    /// As [`build`](Self::build), with threads instead of a runtime: one for the keys, and one for the feed. When the
    /// last clone of the verifier is dropped they end, at the latest with the request that is under way.
    ///
    /// # Errors
    ///
    /// A setting that is missing or out of its bounds; an address that is no URL, or neither `https` nor loopback;
    /// [`BuildError::SeedInvalid`], [`BuildError::NoFetcher`] and [`BuildError::Thread`]. That the issuer cannot be reached
    /// is none of them.
    pub fn build_blocking(mut self) -> Result<Verifier, BuildError> {
        let fetch = self.fetch.take().map_or_else(fetch::for_threads, Ok)?;
        self.start(&fetch, &Driver::Thread)
    }

    /// Has the verifier known to the issuer of a test.
    #[cfg(feature = "testkit")]
    pub(crate) fn guestbook(mut self, guestbook: Guestbook) -> Self {
        self.guestbook = Some(guestbook);
        self
    }

    pub(crate) fn policy(&self) -> Result<Policy, BuildError> {
        if self.issuer.is_empty() {
            return Err(BuildError::IssuerMissing);
        }
        if let Audience::OneOf(ours) = &self.audience
            && (ours.is_empty() || ours.iter().any(String::is_empty))
        {
            return Err(BuildError::AudienceMissing);
        }
        if self.algorithms.is_empty() {
            return Err(BuildError::AlgorithmMissing);
        }
        if self.leeway.max(self.issuer_ahead) > MAX_LEEWAY {
            return Err(BuildError::LeewayTooLong);
        }
        if self.token_cache > MAX_TOKEN_CACHE {
            return Err(BuildError::TokenCacheTooLarge);
        }
        Ok(Policy {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            algorithms: self.algorithms.clone(),
            token_type: self.token_type,
            leeway: self.leeway.as_secs().cast_signed(),
            issuer_ahead: self.issuer_ahead.as_secs().cast_signed(),
            required_scopes: self.required_scopes.clone(),
            max_key_age: self.max_stale.max(self.refresh_interval),
        })
    }
}
