//! The program as people have it: the real binary, its files and exit codes, and what it answers over HTTP.

mod authority;
mod clients;
mod commands;
mod crash;
mod explain;
mod http;
mod init;
mod keys;
mod parallel;
mod process;
mod secrets;
mod server;
mod start;
mod stop;
mod throttle;
mod token;
