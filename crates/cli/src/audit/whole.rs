use attesto_core::{AuditHead, Instant};
use attesto_store::Unsealed;
use serde_json::{Value, json};

use crate::context::now;
use crate::output::{in_words, rfc3339};

/// A chain that is whole.
pub struct Whole {
    /// Its head.
    pub head: AuditHead,
    /// When the first of its rows happened, and the last.
    pub span: Option<(Instant, Instant)>,
    /// What is not proved, because it is not sealed yet.
    pub unsealed: Unsealed,
}

impl Whole {
    fn rows(&self) -> i64 {
        self.head.last.seq - self.head.purged.seq
    }

    /// For people.
    pub fn sentences(&self) -> String {
        let AuditHead { begun_at, last, sealed_at, purged, .. } = self.head;
        let rows = match self.span {
            None => "it has no rows".to_owned(),
            Some((from, to)) => format!(
                "{} rows, {} to {}, from {} to {}",
                self.rows(),
                purged.seq + 1,
                last.seq,
                rfc3339(from),
                rfc3339(to)
            ),
        };
        format!(
            "The audit is whole: {rows}.\nThe chain begins at {} and was sealed last at {}. {}\n\
             Note outside of the database, to compare with one day: --expect {}:{}",
            rfc3339(begun_at),
            rfc3339(sealed_at),
            self.waiting(),
            last.seq,
            last.hash
        )
    }

    fn waiting(&self) -> String {
        match self.unsealed.since {
            None => "Every row is sealed.".to_owned(),
            Some(since) => format!(
                "{} rows are not sealed yet, the oldest for {}; nothing is proved of them. A running server seals every 10 seconds.",
                self.unsealed.rows,
                in_words(now().since(since))
            ),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let AuditHead { begun_at, last, sealed_at, purged, .. } = self.head;
        json!({
            "intact": true,
            "rows": self.rows(),
            "first_seq": purged.seq + 1,
            "last_seq": last.seq,
            "hash": last.hash.to_string(),
            "from": self.span.map(|(from, _)| rfc3339(from)),
            "to": self.span.map(|(_, to)| rfc3339(to)),
            "begun_at": rfc3339(begun_at),
            "sealed_at": rfc3339(sealed_at),
            "unsealed": self.unsealed.rows,
            "unsealed_since": self.unsealed.since.map(rfc3339),
        })
    }
}
