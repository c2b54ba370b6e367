//! What only PostgreSQL has.

mod audit;
mod connections;
mod locks;
mod named;

pub(crate) use named::Named;
