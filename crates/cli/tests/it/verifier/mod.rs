//! Services that are protected by `attesto-verifier`, against a real server.

mod ends;
mod examples;
mod mangled;
mod proxy;

use attesto_verifier::{Error, Verifier, VerifierBuilder};
use serde::de::IgnoredAny;

use crate::server::Server;

/// A verifier of a service that `serve --dev` issues tokens for.
fn builder(server: &Server) -> VerifierBuilder {
    Verifier::builder(format!("http://{}", server.address)).audience("attesto-dev")
}

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<IgnoredAny>(token).map(drop)
}
