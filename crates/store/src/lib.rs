//! The only code that contains queries.
//!
//! [`Store::read`] and [`Store::write`] take closures, one transaction each; only [`Write`] has verbs that change something, and
//! [`Change`], which is one statement. A verb means one thing: `find_` may find nothing, `insert_` adds a row, `rotate_` and
//! `keep_` change exactly one row or say that somebody else was first, `revoke_` ends something together with its feed
//! record and its audit row, `list_` gives a page, `purge_` removes a batch of what has expired.

mod audit;
mod audit_chain;
mod authority;
mod client;
mod connection;
mod distribution;
mod error;
mod feed;
mod figures;
mod fixed;
mod key;
mod key_ledger;
mod key_use;
mod lock;
mod migration;
mod pool;
mod postgres;
mod revocation;
mod row;
mod schema;
mod server;
mod session;
mod sqlite;
mod store;
mod throttle;
mod url;
mod user;

pub use audit_chain::{Renewed, Unsealed};
pub use authority::Bounds;
pub use client::ClientSettings;
pub use distribution::{Distributed, Distribution};
pub use error::{BackupError, OpenError, RestoreError, StoreError};
pub use feed::FeedHead;
pub use figures::Figures;
pub use key::Changed;
pub use revocation::RecordedRevocation;
pub use session::{Began, ListedSession, Moved};
pub use sqlite::{Restoration, Restored, ServerLock};
pub use store::{Change, ExpectedWrite, Read, Store, Write};
pub use throttle::{Reservation, ThrottleKeys};
pub use url::{DatabaseUrl, PostgresUrl, SqliteUrl, UnsupportedUrl};
pub use user::Added;
