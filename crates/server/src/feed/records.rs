use attesto_core::{Feed, Instant};
use attesto_store::{RecordedRevocation, StoreError};
use attesto_token::feed::{RevocationRecord, RevokedBy, Salt};

/// The records of one feed that are alive, in order of their positions. Ids are hashed once, when they come in.
pub struct Records {
    salt: Salt,
    list: Vec<(i64, RevocationRecord)>,
}

impl Records {
    /// None yet.
    pub fn new(feed: &Feed) -> Result<Self, StoreError> {
        let impossible = || StoreError::Inconsistent { table: "feed", column: "salt", row: "1".to_owned() };
        Ok(Self { salt: Salt::new(feed.salt).ok_or_else(impossible)?, list: Vec::new() })
    }

    /// What their ids are hashed with.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// Takes in what comes after all others.
    pub fn append(&mut self, rows: &[RecordedRevocation]) -> Result<(), StoreError> {
        // All of them or none: who comes again brings the same ones.
        let hashed: Result<Vec<_>, StoreError> =
            rows.iter().map(|row| Ok((row.seq, self.hashed(row)?))).collect();
        self.list.extend(hashed?);
        Ok(())
    }

    /// Those after one position, and up to another, that are alive.
    pub fn between(&self, after: i64, until: i64, now: Instant) -> impl Iterator<Item = &RevocationRecord> {
        let place = |seq| self.list.partition_point(|(position, _)| *position <= seq);
        let records = &self.list[place(after)..place(until)];
        records.iter().map(|(_, record)| record).filter(move |record| is_alive(record, now))
    }

    /// Forgets what has expired.
    pub fn drop_expired(&mut self, now: Instant) {
        self.list.retain(|(_, record)| is_alive(record, now));
    }

    fn hashed(&self, row: &RecordedRevocation) -> Result<RevocationRecord, StoreError> {
        let kind = u8::try_from(row.kind).ok().and_then(RevokedBy::from_number).ok_or_else(|| {
            StoreError::Inconsistent { table: "revocations", column: "kind", row: row.seq.to_string() }
        })?;
        Ok(RevocationRecord {
            kind,
            id: self.salt.hash(kind, &row.id),
            not_before: seconds(row.not_before),
            // Rounded up: it lives to the end of its last second.
            expires: seconds(row.expires_at.saturating_add(999)),
        })
    }
}

fn is_alive(record: &RevocationRecord, now: Instant) -> bool {
    now.seconds() < i64::from(record.expires)
}

fn seconds(millis: i64) -> u32 {
    let seconds = Instant::from_millis(millis).seconds();
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}
