//! The store on real SQLite files. What many writers do is tried with many processes, each with its own connections.

mod atomicity;
mod bounds;
mod constraints;
mod ends;
mod feed;
mod fixture;
mod key_change;
mod key_use;
mod migration;
mod opening;
mod processes;
mod purge;
mod refresh;
mod round_trip;
mod server;
mod session;
mod sign_in;
mod throttle;
