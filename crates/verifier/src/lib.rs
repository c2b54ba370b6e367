//! Checks the access tokens of an Attesto authority (RFC 9068), offline: no request to the authority, no lock and no
//! waiting while a request is served.
//!
//! # A service in five lines
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")]
//! # async fn service(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! # #[derive(serde::Deserialize)]
//! # struct Claims {}
//! # use std::time::Duration;
//! use attesto_verifier::Verifier;
//!
//! let verifier = Verifier::builder("https://auth.example").audience("orders").build()?;
//! verifier.ready(Duration::from_secs(10)).await?;
//!
//! let verified = verifier.verify::<Claims>(token)?;
//! verified.require_scope("orders:read")?;
//! println!("hello, {}", verified.std.subject);
//! # Ok(())
//! # }
//! ```
//!
//! The verifier fetches the keys of the issuer in the background. It belongs in the state of the service and is made
//! once: clones are cheap, and `verify` may be called from anywhere.
//!
//! # What is checked
//!
//! In this order, so that what is cheap and safe comes first:
//!
//! 1. the size, at most 8 KiB, and the form: a compact JWS in canonical base64url;
//! 2. the header: a JSON object with unique members, no `crit`, and nothing in it that brings or fetches a key;
//! 3. `alg` is in the list of the verifier, RS256 alone unless [`VerifierBuilder::algorithms`] names ES256, and `typ` is
//!    `at+jwt`;
//! 4. `kid` names a key of this issuer, for that algorithm, and the key made the signature;
//! 5. only then the payload: `iat`, `nbf` and `exp` with 30 seconds of leeway, `iss`, `aud`, `sub`, `client_id`,
//!    `jti`, and the scopes that the verifier requires;
//! 6. the claims that the caller asks for.
//!
//! A claim of the wrong type is an error and never taken for an absent one. There is no way to read a token without
//! all of this.
//!
//! # Keys without a network
//!
//! A program that has the JWK Set at hand needs neither a URL nor a runtime:
//!
//! ```
//! use attesto_verifier::{Error, JwkSet, Verifier};
//!
//! let jwks = JwkSet::parse(br#"{"keys":[{"kty":"RSA","kid":"2011-04-29","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}"#)?;
//! let verifier = Verifier::from_jwks("https://auth.example", "orders", &jwks)?;
//!
//! let error = verifier.verify::<serde_json::Value>("not a token").unwrap_err();
//! assert_eq!(error, Error::Malformed);
//! assert_eq!(error.status(), 401);
//! assert_eq!(error.rfc6750(), Some("invalid_token"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Verifier::replace_keys`] takes the next set.
//!
//! # When the issuer is down, or its keys change
//!
//! Keys are fetched again every ten minutes; a good answer replaces all of them, a bad one changes nothing and is
//! asked for again, after one second and then ever more rarely up to once a minute. Fetched keys serve for a day after
//! the last good answer, then [`Verifier::verify`] fails with [`Error::KeysUnavailable`]: a 503, since the token is
//! not to blame. An unknown `kid` is refused at once and causes a fetch, at most one in ten seconds, so that a rotation
//! is noticed soon and forged tokens cannot flood the issuer.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! | --- | --- | --- |
//! | `aws-lc` | yes | signatures by aws-lc-rs |
//! | `ring` | no | signatures by ring; with both, aws-lc-rs is used |
//! | `reqwest` | yes | fetching keys from a URL, on tokio |
//! | `tower` | no | `VerifierLayer` for any tower service |
//! | `axum` | no | `Authenticated`, an extractor for axum 0.8; brings `tower` |
//! | `actix` | no | `Authenticated`, an extractor for actix-web 4, and `VerifierMiddleware` |
//! | `testkit` | no | `testkit::Issuer`, an issuer in the process of a test; not for production |
#![warn(missing_docs)]

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("attesto-verifier needs a signature backend: enable the feature `aws-lc` (default) or `ring`");

mod adapter;
mod backend;
mod bearer;
mod builder;
mod cache;
mod claims;
mod clock;
mod error;
mod event;
mod fetch;
mod follow;
mod issuers;
mod keys;
mod lot;
mod policy;
mod protected_resource;
mod revocations;
mod start;
mod state;
mod status;
#[cfg(feature = "testkit")]
pub mod testkit;
mod trust;
mod url;
#[cfg(test)]
mod vectors;
mod verifier;
mod wait;

#[cfg(any(feature = "actix", feature = "axum"))]
pub use adapter::Authenticated;
pub use adapter::{Denied, ResourceServer};
#[cfg(feature = "tower")]
pub use adapter::{VerifierLayer, VerifierService};
#[cfg(feature = "actix")]
pub use adapter::{VerifierMiddleware, VerifierMiddlewareService};
pub use attesto_token::feed::Position;
pub use attesto_token::{Algorithm, JwkError, JwkSet};
pub use bearer::bearer_token;
pub use builder::{BuildError, VerifierBuilder};
pub use claims::StandardClaims;
pub use clock::Clock;
pub use error::Error;
pub use event::Event;
pub use fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
pub use issuers::Verifiers;
pub use keys::NoUsableKey;
pub use policy::TokenType;
pub use protected_resource::{InvalidResource, ProtectedResource};
pub use revocations::{Feed, Freshness, OnStale, Revocations};
pub use status::{KeySetStatus, RevocationsStatus, Status};
pub use verifier::{Verified, Verifier};
