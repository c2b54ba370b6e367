use std::time::Duration;

use super::record::KekId;
use crate::instant::Instant;

/// What a running server says of itself, every two seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Random, drawn at its start.
    pub id: String,
    /// Of the program.
    pub version: String,
    /// The key-encryption keys that it holds, the one that seals first.
    pub kek_ids: Vec<KekId>,
    /// The keys that it has loaded and found to be the stored ones.
    pub confirmed_kids: Vec<String>,
    /// The version of the ledger that it has loaded.
    pub key_version: i64,
    /// When it said so.
    pub seen_at: Instant,
    /// The newest record of the revocation feed that it has published.
    pub feed_seq: i64,
}

impl ServerReport {
    /// How often a server reports.
    pub const INTERVAL: Duration = Duration::from_secs(2);

    /// A server that was silent for this long is dead.
    pub const SILENCE: Duration = Duration::from_secs(30);

    /// Whether the server runs, as far as can be known.
    pub fn is_live(&self, now: Instant) -> bool {
        // One from the future was written by a clock that was wrong.
        now.since(self.seen_at) < Self::SILENCE && self.seen_at.since(now) < Self::SILENCE
    }
}
