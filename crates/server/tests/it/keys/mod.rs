//! Keys as they follow each other under a running server, one module per promise.

mod ahead;
mod algorithms;
mod compromise;
mod confirmation;
mod gone;
mod guards;
mod reload;
mod schedule;
mod signer;
mod tamper;
