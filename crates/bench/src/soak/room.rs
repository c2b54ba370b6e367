//! Whether the databases of a run fit on the disk.

use std::env::temp_dir;

use rustix::fs::statvfs;

use crate::{Outcome, progress};

/// Of a session, its share of a user, the log of what is written, and as much again.
const BYTES_PER_SESSION: u64 = 1_500;

/// Whatever the number of sessions.
const LEAST_BYTES: u64 = 500_000_000;

/// Says how much a run needs, or refuses it.
pub fn require(sessions: usize) -> Outcome<()> {
    let folder = temp_dir();
    let disk = statvfs(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    let (needed, free) = (needed_bytes(sessions), disk.f_bavail.saturating_mul(disk.f_frsize));
    let says = format!(
        "{sessions} sessions need {} free in {}, and {} are",
        gigabytes(needed),
        folder.display(),
        gigabytes(free)
    );
    if free < needed {
        return Err(format!(
            "{says}; make room, name another folder with TMPDIR, or ask for fewer with --sessions"
        )
        .into());
    }
    progress(&format!("soak: {says}"));
    Ok(())
}

fn needed_bytes(sessions: usize) -> u64 {
    let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
    LEAST_BYTES.max(sessions.saturating_mul(BYTES_PER_SESSION))
}

fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_million_sessions_need_fifteen_gigabytes() {
        assert_eq!(gigabytes(needed_bytes(10_000_000)), "15.0 GB");
        assert_eq!(gigabytes(needed_bytes(10_000)), "0.5 GB");
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_is_written() {
        let refusal = require(usize::MAX).unwrap_err().to_string();
        assert!(refusal.contains("--sessions") && refusal.contains("TMPDIR"), "{refusal}");
    }
}
