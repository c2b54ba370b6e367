use std::time::Duration;

use crate::client::ClientId;
use crate::instant::Instant;
use crate::redemption::Standing;
use crate::refusal::Refusal;

/// "Nothing up to here counts any more": sessions created in this second or before are over. It only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark(pub Option<Instant>);

impl Watermark {
    /// The watermark that ends everything up to `now`. It is a second ahead, because `iat` has whole seconds: what is
    /// signed in this very second must be refused as well.
    pub fn raised(self, now: Instant) -> Self {
        let raised = Instant::from_seconds(now.seconds() + 1);
        Self(Some(self.0.map_or(raised, |before| before.max(raised))))
    }

    /// Whether something that began at `created_at` is over.
    pub fn covers(self, created_at: Instant) -> bool {
        self.0.is_some_and(|watermark| created_at.seconds() <= watermark.seconds())
    }

    /// The first instant that it does not cover.
    pub fn end(self) -> Option<Instant> {
        Some(Instant::from_seconds(self.0?.seconds() + 1))
    }

    /// How long a new session has to wait until it begins after the watermark; `None` if it need not.
    pub fn wait(self, now: Instant) -> Option<Duration> {
        let first = self.end()?;
        (first > now).then(|| first.since(now))
    }
}

impl Standing {
    /// The one gate of every redemption: session, then client, then user. `None` lets it pass. What ended for everyone
    /// is asked with the session, for it is the session's own end.
    pub fn gate(&self, client_id: &ClientId, now: Instant) -> Option<Refusal> {
        let Self { session, client, user, watermark } = self;
        if session.revoked_at.is_some() || watermark.covers(session.created_at) {
            return Some(Refusal::SessionRevoked);
        }
        if session.client_id != *client_id {
            return Some(Refusal::ClientMismatch);
        }
        if now >= session.idle_expires_at || now >= session.absolute_expires_at {
            return Some(Refusal::SessionExpired);
        }
        if client.disabled_at.is_some() {
            return Some(Refusal::ClientDisabled);
        }
        if client.watermark.covers(session.created_at) {
            return Some(Refusal::SessionRevoked);
        }
        match user {
            None => Some(Refusal::UserInactive),
            Some(user) if user.disabled_at.is_some() => Some(Refusal::UserInactive),
            Some(user) if user.watermark.covers(session.created_at) => Some(Refusal::SessionRevoked),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_ends_this_second_and_lets_the_next_but_one_begin() {
        let now = Instant::from_millis(10_900);
        let watermark = Watermark::default().raised(now);
        assert!(watermark.covers(Instant::from_millis(10_999)));
        assert!(watermark.covers(Instant::from_millis(11_999)));
        assert!(!watermark.covers(Instant::from_millis(12_000)));
        assert_eq!(watermark.wait(now), Some(Duration::from_millis(1_100)));
        assert_eq!(watermark.wait(Instant::from_millis(12_000)), None);
        assert_eq!(Watermark::default().wait(now), None);
    }

    #[test]
    fn a_watermark_never_falls() {
        let high = Watermark::default().raised(Instant::from_seconds(100));
        assert_eq!(high.raised(Instant::from_seconds(50)), high);
    }
}
