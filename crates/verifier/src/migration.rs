//! From jsonwebtoken or jwt-authorizer to this crate.
//!
//! # From jsonwebtoken
//!
//! ```text
//! let mut validation = Validation::new(Algorithm::RS256);
//! validation.set_issuer(&["https://auth.example"]);
//! validation.set_audience(&["orders"]);
//! let claims = decode::<Claims>(token, &decoding_key_for(kid)?, &validation)?.claims;
//! ```
//!
//! becomes, with the keys fetched, renewed and chosen by the verifier,
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")]
//! # fn check(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! # use attesto_verifier::Verifier;
//! # type Claims = serde_json::Value;
//! let verifier = Verifier::builder("https://auth.example").audience("orders").build()?;
//! let claims = verifier.verify::<Claims>(token)?.claims;
//! # Ok(())
//! # }
//! ```
//!
//! | jsonwebtoken | here |
//! | --- | --- |
//! | `Validation::algorithms` | [`algorithms`](crate::VerifierBuilder::algorithms); RS256 alone unless told, and each key verifies its own algorithm only |
//! | `set_issuer`, `set_audience` | required: a verifier does not build without |
//! | `leeway`, 60 s | [`leeway`](crate::VerifierBuilder::leeway), 30 s, and at most 60 s |
//! | `validate_nbf`, off | always on |
//! | `required_spec_claims`, `exp` alone | `iss`, `aud`, `sub`, `client_id`, `iat`, `exp` and `jti` (RFC 9068 §2.2), always |
//! | `decode_header` and a key by `kid` | part of `verify`; nothing is read of a token that is not verified |
//! | `dangerous::insecure_decode` | there is no such thing |
//! | `ErrorKind::ExpiredSignature`, … | [`Error`](crate::Error): with [`code`](crate::Error::code), [`status`](crate::Error::status) and [`www_authenticate`](crate::Error::www_authenticate) |
//! | `jwk::JwkSet` | [`JwkSet`](crate::JwkSet): weak, private and doubled keys are refused one by one |
//!
//! What jsonwebtoken takes with issuer and audience set, and this crate refuses: a token without `iss` and `aud`, an
//! `iss` that is a number or a list with the right one in it, an `aud` that is an object, `nbf` in the future, `typ` of
//! another kind of token, `crit`, and what expired half a minute to a minute ago. A token that begins to be refused after the
//! change is one of these; [`Error::code`](crate::Error::code) says which.
//!
//! HS256 is not there: whoever can check such a token can make one.
//!
//! # From jwt-authorizer
//!
//! ```text
//! let authorizer: Authorizer<User> = JwtAuthorizer::from_oidc("https://auth.example")
//!     .validation(Validation::new().aud(&["orders"]))
//!     .build().await?;
//! let app = Router::new().route("/orders", get(orders)).layer(authorizer.into_layer());
//! async fn orders(JwtClaims(user): JwtClaims<User>) { /* … */ }
//! ```
//!
//! becomes
//!
//! ```no_run
//! # #[cfg(all(feature = "axum", feature = "reqwest"))]
//! # fn app() -> Result<(), Box<dyn std::error::Error>> {
//! # use attesto_verifier::{Authenticated, ResourceServer, Verifier};
//! # use axum::{Router, routing::get};
//! # type User = serde_json::Value;
//! let verifier = Verifier::builder("https://auth.example").audience("orders").build()?;
//! let server = ResourceServer::from(verifier);
//! let app: Router = Router::new().route("/orders", get(orders)).with_state(server);
//! async fn orders(user: Authenticated<User>) { /* … */ }
//! # Ok(())
//! # }
//! ```
//!
//! `Authenticated` guards the handlers that take it, and no others. What guarded all routes stays a layer:
//! `.layer(VerifierLayer::<User>::new(server))`, with the claims as `Extension<Verified<User>>`.
//!
//! | jwt-authorizer | here |
//! | --- | --- |
//! | `from_jwks_url`, `from_oidc` | [`jwks_url`](crate::VerifierBuilder::jwks_url), [`discover`](crate::VerifierBuilder::discover) |
//! | `RefreshStrategy::Interval` | [`refresh_interval`](crate::VerifierBuilder::refresh_interval), ahead of time, and at an unknown key as well |
//! | `RefreshStrategy::KeyNotFound` | always, at most once in ten seconds; `verify_fresh` waits for it |
//! | requests wait while keys are fetched | they never do |
//! | `.layer(authorizer.into_layer())` | `.layer(VerifierLayer::<User>::new(server))` |
//! | `.check(\|claims\| …)` | a line in the handler, or [`require_scopes`](crate::VerifierBuilder::require_scopes) |
//! | `JwtSource::Cookie` | not there: tokens come in the header `Authorization` alone |
//!
//! # What comes with the change
//!
//! The [revocation feed](crate#revocations) is followed unless it is [switched off](crate::Revocations::Off): for an issuer
//! that is no Attesto authority, do so.
