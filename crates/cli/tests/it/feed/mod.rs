//! The revocation feed, followed by those who read it.

mod access;
mod bad_answers;
mod consumers;
mod crash;
mod follower;
mod haproxy;
mod programs;
mod restore;
mod sequences;
mod service;
mod show;
mod tail;
mod vectors;
