use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use attesto_token::feed::{RevocableClaims, RevocationList, RevokedBy};

use crate::claims::StandardClaims;
use crate::clock::{Clock, Moment};
use crate::event::{Event, Events};
use crate::fetch::FetchResponse;
use crate::follow::Arrival;
use crate::keys::KeySet;
use crate::state::Kept;

const NEVER: i64 = i64::MIN;

/// More than this many seconds are an event.
const NOTABLE_SKEW: u64 = 5;

/// What tokens are checked with: replaced as a whole, read by one atomic load.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    pub(crate) keys: KeySet,
    pub(crate) revocations: RevocationList,
    /// Which of `keys` were declared leaked: looked up once per key rather than per token.
    leaked: Arc<[bool]>,
    /// Changes with what is in here, so that no verdict outlives it.
    pub(crate) generation: u64,
}

impl Trust {
    pub(crate) fn new(keys: KeySet, revocations: RevocationList) -> Self {
        Self { keys, revocations, ..Self::default() }.changed()
    }

    /// What revokes a token that `key` signed, if anything does.
    pub(crate) fn revoked_by(&self, index: usize, claims: &StandardClaims) -> Option<RevokedBy> {
        if self.leaked[index] {
            return Some(RevokedBy::Kid);
        }
        self.revocations.revoked_by(&RevocableClaims {
            kid: None,
            client_id: Some(claims.client_id()),
            sub: Some(claims.subject()),
            sid: claims.sid(),
            jti: Some(claims.jti()),
            iat: claims.issued_at(),
        })
    }

    fn changed(mut self) -> Self {
        self.leaked = self.keys.iter().map(|key| self.revocations.revokes_key(&key.kid)).collect();
        self.generation += 1;
        self
    }
}

/// What a verifier and those who follow for it have in common.
pub(crate) struct Shared {
    issuer: String,
    pub(crate) trust: ArcSwap<Trust>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) kept: Option<Arc<Kept>>,
    /// When the last good answer of the feed came, in nanoseconds of the monotonic clock.
    fed_at: AtomicI64,
    /// The same in seconds since 1970.
    fed_at_unix: AtomicI64,
    heard: AtomicBool,
    /// The issuer's time minus the time here, in seconds.
    skew: AtomicI64,
}

impl Shared {
    pub(crate) fn new(issuer: String, trust: Trust, clock: Arc<dyn Clock>, events: Events) -> Self {
        Self {
            issuer,
            trust: ArcSwap::from_pointee(trust),
            clock,
            events,
            kept: None,
            fed_at: AtomicI64::new(NEVER),
            fed_at_unix: AtomicI64::new(0),
            heard: AtomicBool::new(false),
            skew: AtomicI64::new(NEVER),
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How long ago the last good answer of the feed came. A machine that sleeps stops the monotonic clock, and a wall
    /// clock can be set: the longer of both counts.
    pub(crate) fn fed_ago(&self, now: Duration, unix: i64) -> Option<Duration> {
        let at = self.fed_at.load(Ordering::Acquire);
        let passed = unix.saturating_sub(self.fed_at_unix.load(Ordering::Relaxed)).max(0).cast_unsigned();
        (at != NEVER).then(|| Moment::from_nanoseconds(at).age(now).max(Duration::from_secs(passed)))
    }

    pub(crate) fn fed(&self, at: Moment, unix: i64) {
        self.fed_at_unix.store(unix, Ordering::Relaxed);
        self.fed_at.store(at.nanoseconds(), Ordering::Release);
    }

    /// Whether any answer of the feed has come to this verifier itself.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    pub(crate) fn skew(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|skew| *skew != NEVER)
    }

    pub(crate) fn set_keys(&self, keys: &KeySet) {
        self.trust.rcu(|trust| Trust { keys: keys.clone(), ..Trust::clone(trust) }.changed());
    }

    pub(crate) fn replace_keys(&self, keys: KeySet, jwks: &[u8], arrived: Arrival) {
        self.set_keys(&keys.confirmed(Moment::new(arrived.asked_at, Duration::ZERO)));
        self.events.send(&Event::KeysRefreshed { keys: self.trust.load().keys.len() });
        self.keep(|kept| kept.keys(jwks, arrived.unix));
    }

    /// They are still the same; unless they are not those that were fetched.
    pub(crate) fn confirm_keys(&self, arrived: Arrival) -> bool {
        let at = Moment::new(arrived.asked_at, Duration::ZERO);
        if self.trust.load().keys.age(arrived.at).is_none() {
            return false;
        }
        self.trust.rcu(|trust| Trust { keys: trust.keys.clone().confirmed(at), ..Trust::clone(trust) });
        self.events.send(&Event::KeysRefreshed { keys: self.trust.load().keys.len() });
        self.keep(|kept| kept.keys_confirmed(arrived.unix));
        true
    }

    pub(crate) fn keys_failed(&self, reason: &str, arrived: Arrival) {
        let stale_for = self.trust.load().keys.age(arrived.at);
        self.events.send(&Event::KeysRefreshFailed { reason, stale_for });
    }

    pub(crate) fn keep_feed_keys(&self, jwks: &[u8]) {
        self.keep(|kept| kept.feed_keys(jwks));
    }

    pub(crate) fn replace_revocations(&self, list: &RevocationList, news: bool, arrived: Arrival) {
        self.trust.rcu(|trust| {
            let next = Trust { revocations: list.clone(), ..Trust::clone(trust) };
            if news { next.changed() } else { next }
        });
        // Only now: nobody shall take the list before for a fresh one.
        self.fed(Moment::new(arrived.at, Duration::ZERO), arrived.unix);
        self.heard.store(true, Ordering::Relaxed);
        if news {
            let seq = list.position().map_or(0, |position| position.seq);
            self.events.send(&Event::RevocationsRefreshed { seq, records: list.len() });
        }
        self.keep(|kept| {
            if news { kept.revocations(list, arrived.unix) } else { kept.revocations_confirmed(arrived.unix) }
        });
    }

    pub(crate) fn revocations_failed(&self, reason: &str, arrived: Arrival) {
        let stale_for = self.fed_ago(arrived.at, arrived.unix);
        self.events.send(&Event::RevocationsFailed { reason, stale_for });
    }

    /// The issuer's clock, by the header `Date` (RFC 9110 §6.6.1).
    pub(crate) fn measure_skew(&self, response: &FetchResponse, arrived: Arrival) {
        let date = response.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(since_1970) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else { return };
        let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX).saturating_sub(arrived.unix);
        let before = self.skew.swap(seconds, Ordering::Relaxed);
        let notable = |skew: i64| skew != NEVER && skew.unsigned_abs() > NOTABLE_SKEW;
        if notable(seconds) && !notable(before) {
            self.events.send(&Event::ClockSkew { seconds });
        }
    }

    /// Nobody verifies any more.
    pub(crate) fn stop(&self) {
        self.keep(Kept::stop);
    }

    fn keep(&self, change: impl FnOnce(&Kept)) {
        if let Some(kept) = &self.kept {
            change(kept);
        }
    }
}
