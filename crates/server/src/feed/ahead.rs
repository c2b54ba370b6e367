use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use attesto_core::Instant;

use super::published::Position;

/// Anybody can claim to know anything, so it is not said more often than this.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// Warns when somebody knows a position that the feed has not reached: the sign of a database that has forgotten.
#[derive(Default)]
pub struct Ahead(Mutex<Option<Instant>>);

impl Ahead {
    /// Compares what somebody knows with what there is.
    pub fn look(&self, known: Position, present: Position, now: Instant) {
        if known > present && self.is_due(now) {
            tracing::warn!(
                known_epoch = known.epoch.as_millis(),
                known_seq = known.seq,
                epoch = present.epoch.as_millis(),
                seq = present.seq,
                "somebody who asks for the revocation feed knows a later position than there is; if this database was \
                 restored from a copy, run `attesto feed renew` (docs/operations/backup.md); if not, he made it up"
            );
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now < last || now.since(last) >= AGAIN);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
