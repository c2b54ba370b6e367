//! The program as people have it: the real binary, its files and exit codes, and what it answers over HTTP.

mod authority;
mod clients;
mod crash;
mod http;
mod parallel;
mod process;
mod server;
mod token;
