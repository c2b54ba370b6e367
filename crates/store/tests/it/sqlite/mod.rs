//! What only SQLite has: a file, and one thread that writes.

pub(crate) mod file;
mod migration;
pub(crate) mod opening;
mod queue;
