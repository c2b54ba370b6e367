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

    /// Whether its program knows the chain of the audit, as all do since 0.4.0.
    pub fn knows_audit_chain(&self) -> bool {
        let numbers: Vec<u64> = self.version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        numbers >= vec![0, 4, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_know_the_chain_of_the_audit_since_0_4_0() {
        for (version, knows) in [
            ("0.4.0", true),
            ("0.4.1", true),
            ("0.10.0", true),
            ("1.0.0", true),
            ("0.4.0-rc", true),
            ("0.3.0", false),
            ("0.3.9", false),
            ("0.4", false),
            ("", false),
            ("soon", false),
        ] {
            let report = ServerReport {
                id: String::new(),
                version: version.to_owned(),
                kek_ids: vec![],
                confirmed_kids: vec![],
                key_version: 1,
                seen_at: Instant::from_millis(0),
                feed_seq: 0,
            };
            assert_eq!(report.knows_audit_chain(), knows, "{version}");
        }
    }
}
