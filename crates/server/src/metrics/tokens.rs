use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What tokens were given out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A password.
    SignIn,
    /// A refresh token, for the first time.
    Refresh,
    /// A refresh token whose answer may have been lost: the same successor again.
    Retry,
}

/// Why nothing was given out, in classes that an operator tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalClass {
    /// Unknown user, wrong password, disabled user.
    Credentials,
    /// Too many failed sign-ins before.
    Throttled,
    /// A token that is none of ours, or of a session that is not known.
    Invalid,
    /// A token or a session that has expired.
    Expired,
    /// A session that was ended.
    Revoked,
    /// A refresh token that was used before; its session is ended.
    Replayed,
    /// A user or a client that may not.
    Disabled,
    /// A request that nothing could be read from.
    Malformed,
    /// Our own fault.
    Unavailable,
}

/// Tokens that were given out, since the server started, and requests for them that were refused.
pub struct Tokens {
    access: [AtomicU64; Grant::ALL.len()],
    refresh: [AtomicU64; Grant::ALL.len()],
    refusals: [AtomicU64; RefusalClass::ALL.len()],
}

impl Tokens {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            access: [const { AtomicU64::new(0) }; Grant::ALL.len()],
            refresh: [const { AtomicU64::new(0) }; Grant::ALL.len()],
            refusals: [const { AtomicU64::new(0) }; RefusalClass::ALL.len()],
        }
    }

    /// An access and a refresh token.
    pub fn issued_pair(&self, grant: Grant) {
        self.issued_access(grant);
        self.refresh[grant as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An access token beside a refresh token that stays.
    pub fn issued_access(&self, grant: Grant) {
        self.access[grant as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing.
    pub fn refused(&self, class: RefusalClass) {
        self.refusals[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let issued = Family::<_, Counter>::default();
        for (kind, counts) in [("access", &self.access), ("refresh", &self.refresh)] {
            for (grant, count) in Grant::ALL.into_iter().zip(counts) {
                let labels = [("kind", kind), ("grant", grant.as_str())];
                issued.get_or_create(&labels).inc_by(count.load(Ordering::Relaxed));
            }
        }
        registry.register("tokens_issued", "Tokens that were given out", issued);
        let refusals = Family::<_, Counter>::default();
        for (class, count) in RefusalClass::ALL.into_iter().zip(&self.refusals) {
            refusals.get_or_create(&[("reason", class.as_str())]).inc_by(count.load(Ordering::Relaxed));
        }
        registry.register("refusals", "Requests of the token endpoints that were refused", refusals);
    }
}

impl Grant {
    const ALL: [Self; 3] = [Self::SignIn, Self::Refresh, Self::Retry];

    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
            Self::Retry => "retry",
        }
    }
}

impl RefusalClass {
    const ALL: [Self; 9] = [
        Self::Credentials,
        Self::Throttled,
        Self::Invalid,
        Self::Expired,
        Self::Revoked,
        Self::Replayed,
        Self::Disabled,
        Self::Malformed,
        Self::Unavailable,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Throttled => "throttled",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Replayed => "replayed",
            Self::Disabled => "disabled",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grant_and_class_has_a_place_of_its_own() {
        assert!(Grant::ALL.into_iter().enumerate().all(|(place, grant)| grant as usize == place));
        assert!(RefusalClass::ALL.into_iter().enumerate().all(|(place, class)| class as usize == place));
    }
}
