use attesto_core::{AuditBreak, AuditEdition};
use attesto_keyring::AuditHeadError;
use attesto_store::StoreError;

/// Why the chain is not extended, or not believed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The head is not what a holder of the key-encryption key wrote.
    #[error(transparent)]
    Head(#[from] AuditHeadError),
    /// Rows are sealed, and nothing says how many there were.
    #[error(
        "rows of the audit are sealed up to {last}, and the head of the chain was taken away, if not by an `attesto audit renew` \
         that was interrupted; find out by whom, then begin another chain with `attesto audit renew`"
    )]
    HeadMissing {
        /// The last place of a row.
        last: i64,
    },
    /// Rows are sealed that the head knows nothing of.
    #[error(
        "the head of the audit was set back: it ends the chain at row {head}, and row {found} is sealed; \
         find out by whom, then begin another chain with `attesto audit renew`"
    )]
    HeadSetBack {
        /// The last place by the head.
        head: i64,
        /// The last place of a row.
        found: i64,
    },
    /// The head does not follow the one that was seen.
    #[error(
        "the head of the audit went back: this server has seen version {}, and the database holds {}; \
         restart the server if the database was replaced on purpose; else find out by whom, then begin another chain with \
         `attesto audit renew`",
        known.version,
        stored_version(*known, *stored)
    )]
    WentBack {
        /// The one that was seen.
        known: AuditEdition,
        /// In the database.
        stored: Option<AuditEdition>,
    },
    /// The head follows the one that was seen, and the chain does not.
    #[error(
        "row {seq} of the audit is not the one that this server has seen there; restart the server if the database was replaced \
         on purpose; else find out by whom, then begin another chain with `attesto audit renew`"
    )]
    Replaced {
        /// Its place.
        seq: i64,
    },
    /// The oldest rows do not prove to be what was sealed.
    #[error(
        "the audit is broken: {0}; no old row is removed; see what `attesto audit verify` says, find out by whom, then begin \
         another chain with `attesto audit renew`"
    )]
    Broken(#[from] AuditBreak),
    /// Servers run that do not know the chain.
    #[error(
        "no chain of the audit begins while servers older than 0.4.0 run, which would break it: {servers}"
    )]
    OlderServers {
        /// Which, and their versions.
        servers: String,
    },
    /// Somebody else began another chain at the same time.
    #[error("somebody else began another chain of the audit meanwhile")]
    RenewedMeanwhile,
    /// A query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn stored_version(known: AuditEdition, stored: Option<AuditEdition>) -> String {
    match stored {
        None => "none".to_owned(),
        Some(stored) if stored.begun_at < known.begun_at => {
            format!("version {} of an older chain", stored.version)
        }
        Some(stored) if stored == known => "another one of that number".to_owned(),
        Some(stored) => format!("version {}", stored.version),
    }
}
