//! The store on real databases: SQLite files, or with `ATTESTO_TEST_ON=postgres` databases of a PostgreSQL cluster. What
//! many writers do is tried with many processes, each with its own connections.

mod atomicity;
mod audit_chain;
mod audit_renewal;
mod bounds;
mod constraints;
mod ends;
mod feed;
mod fixture;
mod gate;
mod key_change;
mod key_use;
mod place;
mod postgres;
mod processes;
mod purge;
mod refresh;
mod round_trip;
mod server;
mod session;
mod sign_in;
mod sqlite;
mod throttle;
