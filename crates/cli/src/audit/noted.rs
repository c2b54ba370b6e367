use attesto_core::{AuditHead, AuditPlace, Digest};
use clap::Args;

use super::broken::Broken;
use crate::failure::Failure;

/// Places of the chain that somebody has noted outside of the database.
#[derive(Args, Default)]
pub struct Noted {
    /// A place that was noted before: the chain has to have this hash there. May be given several times
    #[arg(long, value_name = "SEQ:HASH", value_parser = parse)]
    expect: Vec<AuditPlace>,
}

impl Noted {
    /// Whether all of them can be compared at all.
    pub fn require_not_removed(&self, head: &AuditHead) -> Result<(), Failure> {
        match self.expect.iter().find(|noted| lies_before(**noted, head.purged)) {
            None => Ok(()),
            Some(noted) => Err(Failure::new(format!(
                "row {} was noted, and cannot be compared any more: the chain begins behind row {}, since older rows were removed by \
                 their age or `attesto audit renew` began another chain; note a newer one (nothing was found to be wrong)",
                noted.seq, head.purged.seq
            ))),
        }
    }

    /// Whether the chain goes as far as it did.
    pub fn require_reached(&self, head: &AuditHead) -> Result<(), Broken> {
        match self.expect.iter().find(|noted| noted.seq > head.last.seq) {
            None => Ok(()),
            Some(noted) => Err(Broken::at(
                noted.seq,
                format!(
                    "row {} was noted, and the chain ends at row {}: the database is an older copy of itself, restored or put in its \
                     place",
                    noted.seq, head.last.seq
                ),
            )),
        }
    }

    /// What was noted of a place.
    pub fn compare(&self, at: AuditPlace) -> Result<(), Broken> {
        match self.expect.iter().find(|noted| noted.seq == at.seq && noted.hash != at.hash) {
            None => Ok(()),
            Some(noted) => Err(Broken::at(
                noted.seq,
                format!(
                    "row {} has not the hash that was noted: an older copy was restored since, as the audit says then, or the chain was \
                     written anew by somebody with the key-encryption key",
                    noted.seq
                ),
            )),
        }
    }
}

/// A chain that is not the first begins at the last place of the one before, and does not know its hash.
fn lies_before(noted: AuditPlace, purged: AuditPlace) -> bool {
    noted.seq < purged.seq || noted.seq == purged.seq && purged.hash == Digest::ZERO && noted != purged
}

/// `SEQ:HASH`, as it was printed.
fn parse(text: &str) -> Result<AuditPlace, String> {
    let place = text.split_once(':').and_then(|(seq, hash)| {
        let bytes: Option<Vec<u8>> = hash
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect();
        Some(AuditPlace { seq: seq.parse().ok()?, hash: Digest::from_bytes(&bytes?)? })
    });
    place.ok_or_else(|| "is a number and 64 hex digits, as `attesto audit verify` prints them".to_owned())
}
