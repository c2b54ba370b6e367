//! What `attesto-verifier` accepts, what it refuses and why, and how it keeps its keys.

#[cfg(all(feature = "actix", feature = "axum"))]
mod adapters;
mod algorithms;
mod answers;
mod build;
mod differential;
mod es256;
#[cfg(feature = "reqwest")]
mod fetch;
mod fuzz;
mod hostile;
#[cfg(feature = "reqwest")]
mod issuer;
mod keys;
mod mutations;
mod oracle;
mod token;
mod vectors;
mod verdicts;
