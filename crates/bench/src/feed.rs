//! The revocation feed: who waits for it, its snapshot, and how fast it takes revocations.

mod snapshot;
mod waiters;
mod writes;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Outcome;

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    waiters: waiters::Report,
    snapshot: snapshot::Report,
    writes: writes::Report,
}

/// Measures them one after the other, each with an authority of its own.
pub fn measure(program: &Path, quick: bool) -> Outcome<Report> {
    attesto_server::block_on(async {
        Ok(Report {
            waiters: waiters::measure(program, quick).await?,
            snapshot: snapshot::measure(program, quick).await?,
            writes: writes::measure(quick).await?,
        })
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.waiters, self.snapshot, self.writes)
    }
}
