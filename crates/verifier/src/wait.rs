//! What waits, outside of the path of most requests.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::follow::Link;
use crate::verifier::{Verified, Verifier};

/// Two requests of five seconds: one may be under way already.
const REFRESH: Duration = Duration::from_secs(11);

impl Verifier {
    /// As [`verify`](Self::verify), but a token with an unknown key waits for the one fetch that is under way or due,
    /// 2 seconds at most unless [told otherwise](crate::VerifierBuilder::unknown_kid). If none is due so soon, because
    /// the last one was too short a time ago, it is refused at once. Needs a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify); [`Error::KeyUnknown`] after the wait.
    #[cfg(feature = "tokio")]
    pub async fn verify_fresh<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        let attempts = self.keys_link().map(Link::attempts);
        let verdict = self.verify(token);
        let Some((link, attempts)) = self.worth_waiting(&verdict, attempts) else { return verdict };
        link.wait(self.unknown_kid_wait(), || link.attempts() > attempts).await;
        self.verify(token)
    }

    /// [`verify`](Self::verify) for threads that may wait: a token with an unknown key waits for the one fetch that is
    /// under way or due, 2 seconds at most unless [told otherwise](crate::VerifierBuilder::unknown_kid). If none is due
    /// so soon, because the last one was too short a time ago, it is refused at once.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify); [`Error::KeyUnknown`] after the wait.
    pub fn verify_blocking<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        let attempts = self.keys_link().map(Link::attempts);
        let verdict = self.verify(token);
        let Some((link, attempts)) = self.worth_waiting(&verdict, attempts) else { return verdict };
        link.wait_blocking(self.unknown_kid_wait(), || link.attempts() > attempts);
        self.verify(token)
    }

    /// Waits until tokens can be checked: until the first keys and the first answer of the feed are there, or what to do
    /// without the latter is the service's choice ([`OnStale`](crate::OnStale)). At once for a verifier that was built
    /// offline, or that has a state file of the last minute. `ready(Duration::ZERO)` is for a health check. Needs a tokio
    /// runtime with time.
    ///
    /// # Errors
    ///
    /// [`Error::KeysUnavailable`] or [`Error::RevocationsUnavailable`] if they do not come in time. The verifier goes on
    /// asking: a service may start nevertheless, and answer 503 until they are there.
    #[cfg(feature = "tokio")]
    pub async fn ready(&self, within: Duration) -> Result<(), Error> {
        let started = Instant::now();
        for (link, error) in self.links() {
            let left = within.saturating_sub(started.elapsed());
            if !link.wait(left, || self.knows(&error)).await {
                return Err(error);
            }
        }
        Ok(())
    }

    /// `ready` for threads: waits until tokens can be checked.
    ///
    /// # Errors
    ///
    /// [`Error::KeysUnavailable`] or [`Error::RevocationsUnavailable`] if they do not come in time.
    pub fn ready_blocking(&self, within: Duration) -> Result<(), Error> {
        let started = Instant::now();
        for (link, error) in self.links() {
            let left = within.saturating_sub(started.elapsed());
            if !link.wait_blocking(left, || self.knows(&error)) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Fetches the keys now, whatever the schedule says, and waits for it. Does nothing for a verifier that fetches none.
    /// The feed needs no such call: it is always listened to. Needs a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// [`Error::KeysUnavailable`] if that fails; the reason is in [`status`](Self::status), and the keys that were there
    /// serve on.
    #[cfg(feature = "tokio")]
    pub async fn refresh_now(&self) -> Result<(), Error> {
        let Some((link, attempts)) = self.refresh() else { return Ok(()) };
        let came = link.wait(REFRESH, || link.attempts() >= attempts).await;
        if came && link.last_error().is_none() { Ok(()) } else { Err(Error::KeysUnavailable) }
    }

    /// Fetches the keys now, whatever the schedule says, and waits for it on this thread: as `refresh_now`.
    ///
    /// # Errors
    ///
    /// [`Error::KeysUnavailable`] if that fails; the keys that were there serve on.
    pub fn refresh_now_blocking(&self) -> Result<(), Error> {
        let Some((link, attempts)) = self.refresh() else { return Ok(()) };
        let came = link.wait_blocking(REFRESH, || link.attempts() >= attempts);
        if came && link.last_error().is_none() { Ok(()) } else { Err(Error::KeysUnavailable) }
    }

    /// Whether a fetch is coming that may bring the key of this token; `attempts` were counted before it was looked at.
    fn worth_waiting<C>(
        &self,
        verdict: &Result<Verified<C>, Error>,
        attempts: Option<u64>,
    ) -> Option<(&Link, u64)> {
        let (link, attempts) = self.keys_link().zip(attempts)?;
        let until = self.shared().clock.monotonic().saturating_add(self.unknown_kid_wait());
        let coming = link.attempts() > attempts || link.attempts_before(until);
        (matches!(verdict, Err(Error::KeyUnknown)) && coming).then_some((link, attempts))
    }

    fn refresh(&self) -> Option<(&Link, u64)> {
        let link = self.keys_link()?;
        Some((link, link.wish_now()))
    }

    /// What there is to wait for, and how its absence is called.
    fn links(&self) -> impl Iterator<Item = (&Link, Error)> {
        let keys = self.keys_link().map(|link| (link, Error::KeysUnavailable));
        keys.into_iter().chain(self.feed_link().map(|link| (link, Error::RevocationsUnavailable)))
    }

    fn knows(&self, otherwise: &Error) -> bool {
        let shared = self.shared();
        match otherwise {
            Error::RevocationsUnavailable => self.is_fed(),
            _ => shared.trust.load().keys.is_usable(|| shared.clock.monotonic(), self.policy().max_key_age),
        }
    }
}
