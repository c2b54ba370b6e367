//! The authority over HTTP.
//!
//! Every request goes the same way: an extractor parses it, the endpoint translates, a use case reads, lets
//! `attesto-core` decide, signs and writes, and the dialect's own types answer. The module `router` shows every route.

pub mod config;
pub mod init;

mod admission;
mod app;
mod audit;
mod caller;
mod clock;
mod feed;
mod health;
mod issuer;
mod jobs;
mod keys;
mod limits;
mod metrics;
mod password;
mod proxies;
mod router;
mod serve;
mod session;
mod sign_in;
mod simplejwt;
mod start;
mod telemetry;
mod tls;
mod tokens;
mod trouble;
mod unavailable;
mod well_known;

pub use admission::WAITING_PER_CORE;
pub use app::App;
pub use audit::{AuditChain, AuditError};
pub use clock::Clock;
pub use feed::follow_feed;
pub use feed::snapshot_bytes;
pub use issuer::{Issuer, Pair};
pub use jobs::{PURGE_BATCH, purge, with_rests};
pub use keys::{KeyError, KeyKeeper, SignerLayer, follow_keys, run_due, schedule_keys};
pub use metrics::sample;
pub use password::Passwords;
pub use router::application;
pub use serve::serve;
pub use start::{Environment, StartError, audit_chain, keeper, open};
pub use telemetry::{LogFormat, log_to_stderr};
pub use tls::{Tls, TlsError, TlsFiles};
pub use tokens::{access_keys, refresh_keys};
pub use unavailable::Unavailable;

/// Runs a future to its end on the runtime that the server, the store and the hasher need.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}
