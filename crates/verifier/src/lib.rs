//! Checks the access tokens of an Attesto authority (RFC 9068), offline.
#![warn(missing_docs)]

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("attesto-verifier needs a signature backend: enable the feature `aws-lc` (default) or `ring`");

mod backend;
mod builder;
mod claims;
mod clock;
mod error;
mod keys;
mod policy;
mod verifier;

pub use attesto_token::{Algorithm, JwkError, JwkSet};
pub use builder::{BuildError, VerifierBuilder};
pub use claims::StandardClaims;
pub use clock::Clock;
pub use error::Error;
pub use keys::NoUsableKey;
pub use policy::TokenType;
pub use verifier::{Verified, Verifier};
