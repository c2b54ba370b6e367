//! Checks the access tokens of an Attesto authority (RFC 9068), offline: no request to the authority and no
//! waiting for one while a request is served.
//!
//! # A service in five lines
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")]
//! # async fn service(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! # use std::time::Duration;
//! use attesto_verifier::Verifier;
//!
//! /// What this service wants to know beyond what every token has.
//! #[derive(serde::Deserialize)]
//! struct Claims {
//!     email: Option<String>,
//! }
//!
//! let verifier = Verifier::builder("https://auth.example").audience("orders").build()?;
//! verifier.ready(Duration::from_secs(10)).await?;
//!
//! let verified = verifier.verify::<Claims>(token)?;
//! verified.require_scope("orders:read")?;
//! println!("hello, {}", verified.std.subject());
//! # Ok(())
//! # }
//! ```
//!
//! The verifier fetches the keys of the issuer in the background. It belongs in the state of the service and is made
//! once: clones are cheap, and `verify` may be called from anywhere.
//!
//! On a server without tokio, [`VerifierBuilder::build_blocking`] and [`Verifier::ready_blocking`] do the same in
//! threads. With [axum, tower or actix-web](#features), [`ResourceServer`] puts a verifier in front of handlers and
//! answers as RFC 6750 says.
//!
//! # What is checked
//!
//! In this order, so that what is cheap and safe comes first. Before all of it, there have to be keys that are not too old
//! ([`Error::KeysUnavailable`]).
//!
//! 1. the size, at most 8 KiB, and the form: a compact JWS in canonical base64url;
//! 2. the header: a JSON object with unique members, no `crit`, and nothing in it that brings or fetches a key;
//! 3. `alg` is in the list of the verifier, RS256 alone unless [`VerifierBuilder::algorithms`] names others, and `typ` is
//!    `at+jwt`;
//! 4. `kid` names a key of this issuer, for that algorithm, and the key made the signature;
//! 5. only then the payload: `iat`, `nbf` and `exp` with 30 seconds of leeway, `iss`, `aud`, `sub`, `client_id`,
//!    `jti`, the form of `sid` and `scope`, and the scopes that the verifier requires;
//! 6. nothing in the revocation feed has ended the token: not its key, client, user, session, nor itself; and the feed is
//!    as fresh as the service wants it ([`Error::RevocationsUnavailable`]);
//! 7. the claims that the caller asks for.
//!
//! A claim of the wrong type is an error and never taken for an absent one. There is no way to read a token without
//! all of this.
//!
//! # Policies
//!
//! ```
//! # #[cfg(feature = "reqwest")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::time::Duration;
//! use attesto_verifier::{Algorithm, Feed, OnStale, Verifier};
//!
//! let verifier = Verifier::builder("https://auth.example")
//!     .audience("orders")
//!     .algorithms(&[Algorithm::Rs256, Algorithm::Es256])
//!     .require_scopes(&["orders:read"])
//!     .leeway(Duration::from_secs(5))
//!     .revocations(Feed::new().on_stale(OnStale::RejectAfter(Duration::from_secs(60))))
//!     .state_file("/var/lib/orders/attesto.json")
//!     .on_event(|event| eprintln!("{event}"))
//!     .build()?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })
//! # }
//! # #[cfg(not(feature = "reqwest"))]
//! # fn main() {}
//! ```
//!
//! A service that takes tokens of several issuers makes one verifier for each, and puts them into [`Verifiers`]: keys
//! and revocations are never mixed. A [`ResourceServer`] takes them as it takes a single one.
//!
//! # Revocations
//!
//! The issuer's revocation feed is followed in the background: a token is refused ([`Error::Revoked`]) within a second or
//! two after its session, its user, its client or its key was ended, and still nobody is asked while a request is
//! served. It is on by default; for an issuer that has no such feed there is [`Revocations::Off`].
//!
//! The answers are signed by keys of their own, and are checked like tokens. What is known only grows, until it
//! expires: answers may be lost, doubled, replayed or rolled back on the way, and no revoked token is ever accepted
//! again. [`Verified::revocations`] says how old the knowledge was. What is to happen when it gets old is the service's
//! choice, [`OnStale`].
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
//! | what happens | what a verifier does |
//! | --- | --- |
//! | a key is staged or rotated | notices at the next refresh, at most ten minutes later; an unknown `kid` has the keys fetched at once, at most once in ten seconds ([`VerifierBuilder::unknown_kid`]), so forged tokens cannot flood the issuer |
//! | a token with a new key comes before that | [`Verifier::verify`] refuses it at once ([`Error::KeyUnknown`]); [`Verifier::verify_blocking`] and `verify_fresh` wait up to two seconds for the one fetch |
//! | a key is withdrawn | refuses what it signed after the next refresh; a key that was declared leaked, within a second or two |
//! | the issuer does not answer, or answers nonsense | keeps what it has; asks again after one second and then ever more rarely, up to once a minute |
//! | it is down for longer than a day ([`VerifierBuilder::max_stale`]) | [`Error::KeysUnavailable`]: a 503, since the token is not to blame |
//! | the feed is silent | goes by what it knows, or answers [`Error::RevocationsUnavailable`], a 503: [`OnStale`] |
//! | this service starts while the issuer is down | begins with its [state file](VerifierBuilder::state_file), or with [keys that are built in](VerifierBuilder::seed_jwks) |
//! | it starts, and has heard nothing of the feed for a minute | [`Error::RevocationsUnavailable`] for 30 seconds at most, then by [`OnStale`]; [`Verifier::ready_blocking`] and `ready` wait for both |
//! | the clock is set, or the machine was asleep | the age of the keys goes by the monotonic clock, that of the revocations by whichever of the clocks says more, tokens by the wall clock; [`Status::clock_skew`] and [`Event::ClockSkew`] tell how far the issuer's differs |
//!
//! [`Verifier::status`] is for health checks, [`VerifierBuilder::on_event`] for logs and metrics.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! | --- | --- | --- |
//! | `aws-lc` | yes | signatures by aws-lc-rs |
//! | `ring` | no | signatures by ring; with both, aws-lc-rs is used |
//! | `reqwest` | yes | fetching by reqwest, on tokio: [`build`](VerifierBuilder); brings `tokio` |
//! | `ureq` | no | fetching by ureq, in threads: [`VerifierBuilder::build_blocking`] |
//! | `tokio` | no | tasks instead of threads for one's own [`Fetch`] |
//! | `tower` | no | `VerifierLayer` for any tower service |
//! | `axum` | no | `Authenticated`, an extractor for axum 0.8; brings `tower` |
//! | `actix` | no | `Authenticated`, an extractor for actix-web 4, and `VerifierMiddleware` |
//! | `testkit` | no | `testkit::Issuer`, an issuer in the process of a test, for `[dev-dependencies]` |
#![warn(missing_docs, clippy::missing_errors_doc)]

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
pub mod migration;
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
