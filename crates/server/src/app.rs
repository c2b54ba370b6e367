use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use attesto_core::{Policy, ThrottleLimits};
use attesto_store::Store;
use ipnet::IpNet;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::audit::AuditChain;
use crate::clock::Clock;
use crate::feed::Feed;
use crate::issuer::Issuer;
use crate::keys::{KeyKeeper, Keys};
use crate::metrics::{Counts, Sampled};
use crate::password::Passwords;
use crate::proxies::TrustedProxies;
use crate::tls::Tls;

/// What every request can reach.
pub struct App {
    /// The `iss` of every token.
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    pub(crate) keeper: KeyKeeper,
    pub(crate) jwks_cache_control: HeaderValue,
    pub(crate) issuer: Issuer,
    /// Of sessions.
    pub(crate) renewals: Admission,
    pub(crate) feed: Feed,
    pub(crate) audit: AuditChain,
    pub(crate) feed_requires_token: bool,
    pub(crate) passwords: Passwords,
    pub(crate) policy: Policy,
    pub(crate) throttle: ThrottleLimits,
    pub(crate) proxies: TrustedProxies,
    pub(crate) metrics_from: Vec<IpNet>,
    pub(crate) counts: Counts,
    pub(crate) sampled: Sampled,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) clock: Clock,
    pub(crate) stopping: Stopping,
    /// Drawn at the start, to tell servers of one database apart.
    pub(crate) server_id: String,
}

impl App {
    /// The chain of the audit.
    pub fn audit(&self) -> &AuditChain {
        &self.audit
    }

    /// Signs what was decided.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

/// Set once, when the server was asked to stop.
#[derive(Default)]
pub(crate) struct Stopping(watch::Sender<bool>);

impl Stopping {
    pub(crate) fn set(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn wait(&self) {
        // The sender lives as long as this borrow of it.
        let _ = self.0.subscribe().wait_for(|is_set| *is_set).await;
    }
}
