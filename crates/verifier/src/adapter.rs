//! From the verdict to the answer, for every framework; and three frameworks.

#[cfg(feature = "actix")]
mod actix;
#[cfg(any(feature = "actix", feature = "axum"))]
mod authenticated;
#[cfg(feature = "axum")]
mod axum;
mod denied;
mod resource_server;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "actix")]
pub use actix::{VerifierMiddleware, VerifierMiddlewareService};
#[cfg(any(feature = "actix", feature = "axum"))]
pub use authenticated::Authenticated;
pub use denied::Denied;
pub use resource_server::ResourceServer;
#[cfg(feature = "tower")]
pub use tower::{VerifierLayer, VerifierService};
