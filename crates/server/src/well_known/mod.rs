//! What the authority says about itself (RFC 8615).

mod authorization_server;
mod jwk_set;
mod jwks;

pub use authorization_server::authorization_server;
pub use jwk_set::serve_jwk_set;
pub use jwks::jwks;
