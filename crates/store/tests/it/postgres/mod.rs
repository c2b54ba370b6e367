//! What only PostgreSQL has.

mod locks;
mod named;

pub(crate) use named::Named;
