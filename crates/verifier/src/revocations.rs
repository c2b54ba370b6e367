use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What a verifier knows of tokens that were ended before their time.
#[derive(Clone)]
#[non_exhaustive]
pub enum Revocations {
    /// Nothing: a token is good until its `exp`. For an issuer that has no revocation feed.
    Off,
    /// What the revocation feed of the Attesto authority says.
    Feed(Feed),
}

/// How the revocation feed is followed.
///
/// ```
/// use std::time::Duration;
/// use attesto_verifier::{Feed, OnStale};
///
/// let feed = Feed::new().on_stale(OnStale::RejectAfter(Duration::from_secs(60)));
/// ```
#[derive(Clone, Default)]
#[must_use = "it is for `VerifierBuilder::revocations`"]
pub struct Feed {
    pub(crate) url: Option<String>,
    pub(crate) on_stale: OnStale,
    pub(crate) access_token: Option<AccessToken>,
}

/// What becomes of good tokens while the feed is old: the authority, or the way to it, is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// They are accepted until their `exp`. An authority that is down issues nothing, but somebody who can cut the
    /// connection gains up to the life of an access token.
    #[default]
    AcceptUntilExp,
    /// They are refused with [`Error::RevocationsUnavailable`](crate::Error::RevocationsUnavailable), a 503, when the
    /// last good answer is older than this. While all is well it is at most 25 seconds old.
    RejectAfter(Duration),
}

/// How fresh the knowledge was with which a token was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// No feed is followed.
    NotFollowed,
    /// No answer of the feed has come yet, and the 30 seconds that are granted for the first are over.
    Unknown,
    /// The last good answer came so long ago. Whatever was ended before is known.
    Age(Duration),
}

/// A source of access tokens for a feed that asks for one.
#[derive(Clone)]
pub(crate) struct AccessToken(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl Feed {
    /// The feed at `{issuer}/revocations`, with [`OnStale::AcceptUntilExp`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the feed at this address, which has neither query nor fragment. Its keys are at `{url}/keys`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// What to do while the feed is old.
    pub fn on_stale(mut self, on_stale: OnStale) -> Self {
        self.on_stale = on_stale;
        self
    }

    /// Sends an access token with each request for the feed, for an authority with `feed_require_token`. The function
    /// is asked each time, and must not wait.
    pub fn access_token(mut self, token: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.access_token = Some(AccessToken(Arc::new(token)));
        self
    }
}

impl From<Feed> for Revocations {
    fn from(feed: Feed) -> Self {
        Self::Feed(feed)
    }
}

impl AccessToken {
    /// A function that panics has no token: the feed says so, and is asked again.
    pub(crate) fn now(&self) -> Option<String> {
        catch_unwind(AssertUnwindSafe(|| self.0())).ok().flatten()
    }
}
