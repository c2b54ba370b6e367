//! A throw-away PostgreSQL cluster, for tests and benches.
//!
//! Each server has a folder of its own under `/tmp` and answers on a Unix socket there. It ends, and its folder goes,
//! with the value that stands for it, also if the process that holds the value is killed. PostgreSQL and PgBouncer
//! refuse to run as root: a process of root runs them as `nobody`.
//!
//! `cargo xtask test` tells the tests where the programs are: `ATTESTO_TEST_POSTGRES_BIN` (a folder) and
//! `ATTESTO_TEST_PGBOUNCER`. It also starts one cluster for all tests that make a database of their own and harm no
//! other: `ATTESTO_TEST_POSTGRES` is the URL of its database `postgres` ([`Scratch`] makes another in it). After `--without postgres`,
//! `ATTESTO_TEST_WITHOUT`, a list separated by commas, contains `postgres` instead.

mod bouncer;
mod cluster;
mod error;
mod programs;
mod scratch;
mod server;
mod url;

pub use bouncer::PgBouncer;
pub use cluster::{Cluster, Options};
pub use error::ClusterError;
pub use programs::Programs;
pub use scratch::Scratch;
