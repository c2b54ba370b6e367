use attesto_core::AuditBreak;

/// What is wrong with the chain, and in which row if it is in one.
pub struct Broken {
    /// The row.
    pub seq: Option<i64>,
    /// In a sentence.
    pub problem: String,
}

impl Broken {
    /// In a row.
    pub fn at(seq: i64, problem: String) -> Self {
        Self { seq: Some(seq), problem }
    }

    /// In no certain row.
    pub fn as_a_whole(problem: String) -> Self {
        Self { seq: None, problem }
    }
}

impl From<AuditBreak> for Broken {
    fn from(found: AuditBreak) -> Self {
        let seq = match found {
            AuditBreak::Missing { first: seq, .. }
            | AuditBreak::Altered { seq }
            | AuditBreak::OutOfPlace { seq, .. }
            | AuditBreak::Added { seq }
            | AuditBreak::Rewritten { seq } => Some(seq),
            AuditBreak::TooMany { .. } => None,
        };
        Self { seq, problem: found.to_string() }
    }
}
