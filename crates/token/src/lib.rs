//! The bytes that the issuer and the verifier of Attesto tokens agree on.
//!
//! JSON Web Signatures in compact form (RFC 7515), JSON Web Keys and Key Sets (RFC 7517), their thumbprints
//! (RFC 7638), the claims sets of access and refresh tokens (RFC 7519, RFC 9068), and the revocation [`feed`]. Nothing
//! here signs, verifies, fetches or reads a clock: parsing is strict, and what it accepts is a value.
#![warn(missing_docs, clippy::missing_errors_doc)]

mod algorithm;
mod base64url;
mod claims;
mod digest;
mod error;
pub mod feed;
mod jwk;
mod jws;
pub mod strict_json;
mod thumbprint;

pub use algorithm::Algorithm;
pub use base64url::{decode as base64url_decode, encode as base64url_encode};
pub use claims::{AccessTokenClaims, RefreshTokenClaims, typ};
pub use digest::sha256;
pub use error::{JwkError, JwsError};
pub use jwk::{EcPublicKey, Jwk, JwkSet, OkpPublicKey, PublicKey, RefusedJwk, RsaPublicKey};
pub use jws::{CompactJws, JoseHeader, MAX_TOKEN_BYTES};
