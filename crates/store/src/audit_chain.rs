use attesto_core::{
    AuditHead, AuditLink, AuditPlace, ChainedEvent, Digest, Instant, KekId, RecordedEvent, SealedAuditHead,
};
use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;

use crate::audit::EventRow;
use crate::connection::on_either;
use crate::error::StoreError;
use crate::key::Changed;
use crate::row::RowOf;
use crate::schema::{audit_events, audit_head};
use crate::store::{Read, Write};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = audit_head)]
struct HeadRow {
    one: i32,
    version: i64,
    begun_at: i64,
    seq: i64,
    hash: Vec<u8>,
    sealed_at: i64,
    purged_seq: i64,
    purged_hash: Vec<u8>,
    kek_id: String,
    mac: Vec<u8>,
}

/// What waits for its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// How many rows.
    pub rows: i64,
    /// When the oldest of them happened; `None` if there is none.
    pub since: Option<Instant>,
}

impl Read<'_> {
    /// The head of the chain, which nobody has proved yet; `None` before a server sealed for the first time.
    pub fn find_audit_head(&mut self) -> Result<Option<SealedAuditHead>, StoreError> {
        let row: Option<HeadRow> =
            audit_head::table.select(HeadRow::as_select()).get_result(self.connection).optional()?;
        row.map(SealedAuditHead::try_from).transpose()
    }

    /// The last place that a row claims; `None` if no row has one.
    pub fn find_last_audit_seq(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(audit_events::table.select(max(audit_events::chain_seq)).get_result(self.connection)?)
    }

    /// How much is not sealed yet.
    pub fn count_unsealed_audit_events(&mut self) -> Result<Unsealed, StoreError> {
        let (rows, since): (i64, Option<i64>) = audit_events::table
            .filter(audit_events::chain_seq.is_null())
            .select((count_star(), min(audit_events::at)))
            .get_result(self.connection)?;
        Ok(Unsealed { rows, since: since.map(Instant::from_millis) })
    }

    /// Events that have no place yet. On PostgreSQL one with a lower number may come to be seen after one with a higher.
    pub fn list_unsealed_audit_events(&mut self, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows: Vec<EventRow> = audit_events::table
            .filter(audit_events::chain_seq.is_null())
            .select(EventRow::as_select())
            .order(audit_events::id.asc())
            .limit(limit)
            .load(self.connection)?;
        Ok(rows.into_iter().map(RecordedEvent::from).collect())
    }

    /// A page of the chain: the rows behind the place `after`, in the order of their places.
    pub fn list_sealed_audit_events(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ChainedEvent>, StoreError> {
        let rows: Vec<(EventRow, Option<i64>, Option<Vec<u8>>)> = audit_events::table
            .filter(audit_events::chain_seq.gt(after))
            .select((EventRow::as_select(), audit_events::chain_seq, audit_events::chain_hash))
            .order((audit_events::chain_seq.asc(), audit_events::id.asc()))
            .limit(limit)
            .load(self.connection)?;
        let chained = rows.into_iter().map(|(event, seq, hash)| ChainedEvent {
            seq: seq.unwrap_or_default(),
            hash: hash.and_then(|hash| Digest::from_bytes(&hash)),
            event: event.into(),
        });
        Ok(chained.collect())
    }
}

impl Write<'_> {
    /// Gives rows their places, on the very head that was decided on, or nothing: of several servers one is first.
    pub fn seal_audit_events(
        &mut self,
        from: Option<i64>,
        next: &SealedAuditHead,
        links: &[AuditLink],
    ) -> Result<Changed, StoreError> {
        if self.advance_audit_head(from, next)? == Changed::LostRace {
            return Ok(Changed::LostRace);
        }
        links.iter().try_for_each(|link| self.place_audit_event(link))?;
        Ok(Changed::Yes)
    }

    /// Removes the rows up to the place where `next` lets the chain begin; says how many there were.
    pub fn purge_audit_events(
        &mut self,
        from: i64,
        next: &SealedAuditHead,
    ) -> Result<Option<usize>, StoreError> {
        if self.advance_audit_head(Some(from), next)? == Changed::LostRace {
            return Ok(None);
        }
        let gone = audit_events::table.filter(audit_events::chain_seq.le(next.head.purged.seq));
        Ok(Some(diesel::delete(gone).execute(self.connection)?))
    }

    /// A row that lost its place to nobody, or is not there any more, undoes the whole.
    fn place_audit_event(&mut self, link: &AuditLink) -> Result<(), StoreError> {
        let placed = diesel::update(audit_events::table)
            .filter(audit_events::id.eq(link.id))
            .filter(audit_events::chain_seq.is_null())
            .set((
                audit_events::chain_seq.eq(link.place.seq),
                audit_events::chain_hash.eq(link.place.hash.as_bytes().as_slice()),
            ))
            .execute(self.connection)?;
        if placed == 1 { Ok(()) } else { Err(StoreError::Database(diesel::result::Error::NotFound)) }
    }

    fn advance_audit_head(
        &mut self,
        from: Option<i64>,
        next: &SealedAuditHead,
    ) -> Result<Changed, StoreError> {
        let row = HeadRow::from(next);
        let changed = match from {
            None => on_either!(self.connection, |connection| diesel::insert_into(audit_head::table)
                .values(&row)
                .on_conflict_do_nothing()
                .execute(connection))?,
            Some(version) => diesel::update(audit_head::table)
                .filter(audit_head::version.eq(version))
                .set(&row)
                .execute(self.connection)?,
        };
        Ok(if changed == 1 { Changed::Yes } else { Changed::LostRace })
    }
}

impl TryFrom<HeadRow> for SealedAuditHead {
    type Error = StoreError;

    fn try_from(row: HeadRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "audit_head", row: "1" };
        let last = AuditPlace { seq: row.seq, hash: of.digest("hash", &row.hash)? };
        let purged = AuditPlace { seq: row.purged_seq, hash: of.digest("purged_hash", &row.purged_hash)? };
        let head = AuditHead {
            version: row.version,
            begun_at: Instant::from_millis(row.begun_at),
            last,
            sealed_at: Instant::from_millis(row.sealed_at),
            purged,
        };
        Ok(Self { head, kek_id: KekId(row.kek_id), mac: row.mac })
    }
}

impl From<&SealedAuditHead> for HeadRow {
    fn from(SealedAuditHead { head, kek_id, mac }: &SealedAuditHead) -> Self {
        Self {
            one: 1,
            version: head.version,
            begun_at: head.begun_at.as_millis(),
            seq: head.last.seq,
            hash: head.last.hash.as_bytes().to_vec(),
            sealed_at: head.sealed_at.as_millis(),
            purged_seq: head.purged.seq,
            purged_hash: head.purged.hash.as_bytes().to_vec(),
            kek_id: kek_id.0.clone(),
            mac: mac.clone(),
        }
    }
}
