//! What `attesto-verifier` accepts, what it refuses and why, and how it keeps its keys.

#[cfg(all(feature = "actix", feature = "axum"))]
mod adapters;
mod algorithms;
mod allocations;
mod answers;
#[cfg(all(feature = "reqwest", feature = "ureq"))]
mod blocking;
mod build;
#[cfg(feature = "reqwest")]
mod cache;
mod differential;
mod es256;
#[cfg(feature = "reqwest")]
mod feed;
#[cfg(feature = "reqwest")]
mod fetch;
mod fuzz;
mod hostile;
#[cfg(feature = "reqwest")]
mod issuer;
#[cfg(feature = "reqwest")]
mod issuers;
mod keys;
mod mutations;
mod oracle;
#[cfg(all(unix, feature = "reqwest"))]
mod state;
#[cfg(feature = "testkit")]
mod testkit;
mod token;
mod vectors;
mod verdicts;
