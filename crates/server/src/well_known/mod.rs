//! What the authority says about itself (RFC 8615).

mod authorization_server;
mod jwks;

pub use authorization_server::authorization_server;
pub use jwks::jwks;
