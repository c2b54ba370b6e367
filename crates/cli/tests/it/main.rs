//! The program as people have it: the real binary, its files and exit codes, and what it answers over HTTP.

mod authority;
mod clients;
mod commands;
mod compromise;
mod crash;
mod crash_keys;
mod disk_full;
mod ends;
mod explain;
mod feed;
mod http;
mod init;
mod keeper;
mod keys;
mod load;
mod parallel;
mod process;
mod rotate_many;
mod rotation;
mod runbook;
mod secrets;
mod server;
mod start;
mod stop;
mod throttle;
mod token;
