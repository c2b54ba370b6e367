use std::cell::LazyCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use attesto_token::{Algorithm, CompactJws, JwkSet, MAX_TOKEN_BYTES};
use serde::de::DeserializeOwned;

use crate::builder::{BuildError, VerifierBuilder};
use crate::cache::TokenCache;
use crate::claims::{ClaimsSet, StandardClaims};
use crate::error::Error;
use crate::follow::{Follower, Link};
use crate::keys::{KeySet, NoUsableKey};
use crate::policy::Policy;
use crate::revocations::{Freshness, OnStale};
use crate::trust::{Shared, Trust};

/// How long a verifier that has heard nothing of the feed yet says that it cannot know, before it does what it was told
/// to do while the feed is old.
const GRACE: Duration = Duration::from_secs(30);

/// What a verifier before this one heard so short a time ago is as good as heard.
const RECENT: Duration = Duration::from_secs(60);

/// Checks tokens of one issuer. Clones are cheap and share what they know.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

pub(crate) struct Inner {
    policy: Policy,
    shared: Arc<Shared>,
    cache: Option<TokenCache>,
    keys: Option<FollowedKeys>,
    feed: Option<FollowedFeed>,
}

struct FollowedKeys {
    follower: Follower,
    /// How long somebody waits for an unknown key.
    wait: Duration,
}

pub(crate) struct FollowedFeed {
    pub(crate) follower: Follower,
    pub(crate) on_stale: OnStale,
    /// When it began, by the monotonic clock.
    pub(crate) since: Duration,
}

/// A token that has passed every check. Only a [`Verifier`] makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified<C> {
    /// The claims, as the caller's own type.
    pub claims: C,
    /// The claims that every token has.
    pub std: Arc<StandardClaims>,
    /// The key that signed it.
    pub kid: Arc<str>,
    /// The algorithm of that key.
    pub alg: Algorithm,
    /// How fresh the knowledge was that it had not been ended.
    pub revocations: Freshness,
}

impl Verifier {
    /// Starts with the issuer: its URL, byte for byte as it stands in `iss`.
    pub fn builder(issuer: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into())
    }

    /// A verifier for one issuer and audience with keys that are at hand; everything else as by default.
    ///
    /// # Errors
    ///
    /// [`BuildError::IssuerMissing`], [`BuildError::AudienceMissing`] or [`BuildError::NoUsableKey`].
    pub fn from_jwks(issuer: &str, audience: &str, jwks: &JwkSet) -> Result<Self, BuildError> {
        Self::builder(issuer).audience(audience).build_offline(jwks)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Checks a token, without the `Bearer` before it, and reads its claims into `C`.
    ///
    /// Never waits and never touches the network: one atomic load and one signature.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Missing`](Error::Missing) and [`InvalidRequest`](Error::InvalidRequest): the first that is found
    /// in the order of [what is checked](crate#what-is-checked). An unknown key is [`Error::KeyUnknown`] at once, and
    /// causes the keys to be fetched again. [`Error::KeysUnavailable`] and [`Error::RevocationsUnavailable`] are no fault
    /// of the token.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        let inner = &*self.0;
        let shared = &*inner.shared;
        let unix = shared.clock.unix_now();
        // Keys that were handed over have no age, and looking at a clock takes its time.
        let now = LazyCell::new(|| shared.clock.monotonic());
        // Read before the list, so that the list is at least as fresh.
        let heard = inner.feed.as_ref().map(|feed| (feed, shared.fed_ago(*now, unix)));
        let trust = shared.trust.load();
        if !trust.keys.is_usable(|| *now, inner.policy.max_key_age) {
            return Err(Error::KeysUnavailable);
        }
        let checked = inner.check(token, &trust, unix)?;
        let revocations = match heard {
            Some((feed, fed_ago)) => inner.freshness(feed, fed_ago, *now)?,
            None => Freshness::NotFollowed,
        };
        let claims = checked.std.read_as()?;
        let key = &trust.keys[checked.key];
        Ok(Verified { claims, std: checked.std, kid: Arc::clone(&key.kid), alg: key.algorithm, revocations })
    }

    /// Replaces all keys by those of this set.
    ///
    /// # Errors
    ///
    /// A set without a usable key is refused, and the old keys stay.
    pub fn replace_keys(&self, jwks: &JwkSet) -> Result<(), NoUsableKey> {
        self.0.shared.set_keys(&KeySet::new(jwks)?);
        Ok(())
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn downgrade(&self) -> WeakVerifier {
        WeakVerifier(Arc::downgrade(&self.0))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub(crate) fn keys_link(&self) -> Option<&Link> {
        self.0.keys.as_ref().map(|keys| &*keys.follower.link)
    }

    pub(crate) fn feed_link(&self) -> Option<&Link> {
        self.0.feed.as_ref().map(|feed| &*feed.follower.link)
    }

    /// Whether as much is known of revocations as has to be.
    pub(crate) fn is_fed(&self) -> bool {
        let shared = self.shared();
        let now = shared.clock.monotonic();
        let fed_ago = shared.fed_ago(now, shared.clock.unix_now());
        self.0.feed.as_ref().is_none_or(|feed| self.0.freshness(feed, fed_ago, now).is_ok())
    }

    pub(crate) fn unknown_kid_wait(&self) -> Duration {
        self.0.keys.as_ref().map_or(Duration::ZERO, |keys| keys.wait)
    }
}

/// A verifier that lives only as long as somebody else holds it.
#[cfg(feature = "testkit")]
#[derive(Clone)]
pub(crate) struct WeakVerifier(std::sync::Weak<Inner>);

#[cfg(feature = "testkit")]
impl WeakVerifier {
    pub(crate) fn upgrade(&self) -> Option<Verifier> {
        self.0.upgrade().map(Verifier)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// A token whose signature and claims are good, and which nothing is known to have ended.
#[derive(Clone)]
pub(crate) struct Checked {
    std: Arc<StandardClaims>,
    /// Its place in the key set of that generation.
    key: usize,
}

impl Inner {
    pub(crate) fn offline(policy: Policy, shared: Arc<Shared>, token_cache: usize) -> Self {
        let cache = (token_cache > 0).then(|| TokenCache::new(token_cache));
        Self { policy, shared, cache, keys: None, feed: None }
    }

    pub(crate) fn follow(&mut self, keys: Follower, wait: Duration, feed: Option<FollowedFeed>) {
        self.keys = Some(FollowedKeys { follower: keys, wait });
        self.feed = feed;
    }

    fn check(&self, token: &str, trust: &Trust, unix: i64) -> Result<Checked, Error> {
        let Some(cache) = &self.cache else { return self.check_anew(token, trust, unix) };
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::TooLarge);
        }
        let digest = TokenCache::digest(token);
        if let Some(checked) = cache.find(&digest, trust.generation) {
            checked.std.check_times(&self.policy, unix)?;
            return Ok(checked);
        }
        let checked = self.check_anew(token, trust, unix)?;
        cache.remember(digest, trust.generation, checked.clone());
        Ok(checked)
    }

    fn check_anew(&self, token: &str, trust: &Trust, unix: i64) -> Result<Checked, Error> {
        let jws = CompactJws::split(token)?;
        let (key, alg) = self.choose_key(&jws, &trust.keys)?;
        let payload = trust.keys[key].verified_payload(&jws, alg)?;
        let claims = ClaimsSet::new(String::from_utf8(payload).map_err(|_| Error::Malformed)?);

        let std = StandardClaims::read(claims, &self.policy, unix)?;
        if trust.revoked_by(key, &std).is_some() {
            return Err(Error::Revoked);
        }
        Ok(Checked { std: Arc::new(std), key })
    }

    fn choose_key(&self, jws: &CompactJws<'_>, keys: &KeySet) -> Result<(usize, Algorithm), Error> {
        // An issuer writes the same header again and again: what it says is known.
        if let Some(key) = keys.find_by_header(jws) {
            return Ok((key, keys[key].algorithm));
        }
        let header = jws.header()?;
        let alg = self.policy.check_algorithm(&header.alg)?;
        self.policy.check_type(header.typ.as_deref())?;
        let kid = header.kid.ok_or(Error::KeyUnknown)?;
        let key = keys.find(&kid).ok_or_else(|| self.unknown_kid())?;
        Ok((key, alg))
    }

    /// An unknown key may be a new one. A bad signature under a known key is no reason to ask.
    fn unknown_kid(&self) -> Error {
        if let Some(keys) = &self.keys {
            let now = self.shared.clock.monotonic();
            if let Some(event) = keys.follower.link.wish_unknown_kid(now) {
                self.shared.events.send(&event);
            }
        }
        Error::KeyUnknown
    }

    fn freshness(
        &self,
        feed: &FollowedFeed,
        fed_ago: Option<Duration>,
        now: Duration,
    ) -> Result<Freshness, Error> {
        // What a state file remembers may lie far back.
        let knows = self.shared.has_heard() || fed_ago.is_some_and(|age| age <= RECENT);
        let starting = !knows && now.saturating_sub(feed.since) < GRACE;
        let stale = match feed.on_stale {
            OnStale::AcceptUntilExp => false,
            OnStale::RejectAfter(limit) => fed_ago.is_none_or(|age| age > limit),
        };
        if starting || stale {
            return Err(Error::RevocationsUnavailable);
        }
        Ok(fed_ago.map_or(Freshness::Unknown, Freshness::Age))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.0.policy.issuer).finish_non_exhaustive()
    }
}

impl<C> Verified<C> {
    /// Asks for one scope more.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientScope`] if the token does not have this scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Error> {
        self.std.require_scopes(&[scope.to_owned()])
    }
}
