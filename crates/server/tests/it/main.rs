//! The authority over HTTP, one module per route and one per promise that spans several.
//!
//! Most tests speak to the application in this process, under a clock that they move; what only a socket can show is
//! tried on the real server (`fixture::Live`).

mod fixture;

mod feed;
mod health;
mod keys;
mod simplejwt;
mod well_known;

mod audit;
mod bad_input;
mod log;
mod metrics;
mod passwords;
mod purge;
mod session;
mod throttle;
mod tls;
mod tokens;
mod watermark;
