//! What only PostgreSQL has.

mod audit;
mod locks;
mod named;

pub(crate) use named::Named;
