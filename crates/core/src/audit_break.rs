/// How a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// Rows were taken away.
    #[error("{}", missing(*.first, *.last))]
    Missing {
        /// The first that is not there.
        first: i64,
        /// The last of those that follow it.
        last: i64,
    },
    /// A row does not say any more what it said when it was sealed.
    #[error("row {seq} was altered: what stands there is not what was sealed there")]
    Altered {
        /// Its place.
        seq: i64,
    },
    /// A row stands where another one belongs.
    #[error("row {seq} is out of place: what stands there belongs to place {belongs_to}")]
    OutOfPlace {
        /// Where it stands.
        seq: i64,
        /// Where it was sealed.
        belongs_to: i64,
    },
    /// Two rows claim one place, or a row claims one whose row was removed with the old ones.
    #[error("row {seq} is out of place: there is a row there already, or it was removed as too old")]
    Added {
        /// The place.
        seq: i64,
    },
    /// All links fit, and the last is not the one that the head knows.
    #[error(
        "the hashes up to row {seq} were computed anew: rows were altered by somebody without the key-encryption key"
    )]
    Rewritten {
        /// The last place.
        seq: i64,
    },
    /// More rows have places than the head has given.
    #[error("{}", too_many(*.rows))]
    TooMany {
        /// How many more.
        rows: i64,
    },
}

fn missing(first: i64, last: i64) -> String {
    if first == last {
        format!("row {first} is missing")
    } else {
        format!("rows {first} to {last} are missing")
    }
}

fn too_many(rows: i64) -> String {
    if rows == 1 {
        "1 row too many has a place in the chain".to_owned()
    } else {
        format!("{rows} rows too many have places in the chain")
    }
}
