use attesto_core::{Instant, Revocation, RevocationKind};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::fixed::fixed;
use crate::schema::{revocation_counter, revocations};
use crate::store::{Read, Write};

/// A record of the feed, as stored: ids in clear.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct RecordedRevocation {
    /// Its place; without gaps.
    pub seq: i64,
    /// The number of its [`RevocationKind`].
    pub kind: i32,
    /// What is ended.
    pub id: String,
    /// In milliseconds since 1970.
    pub not_before: i64,
    /// In milliseconds since 1970.
    pub expires_at: i64,
}

impl Read<'_> {
    /// The records after `seq`, oldest first.
    pub fn list_revocations(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<RecordedRevocation>, StoreError> {
        Ok(revocations::table
            .filter(revocations::seq.gt(after))
            .order(revocations::seq.asc())
            .limit(limit)
            .load(self.connection)?)
    }

    /// Those of them that are still alive at `now`.
    pub fn list_living_revocations(
        &mut self,
        after: i64,
        limit: i64,
        now: Instant,
    ) -> Result<Vec<RecordedRevocation>, StoreError> {
        Ok(revocations::table
            .filter(revocations::seq.gt(after))
            .filter(revocations::expires_at.gt(now.as_millis()))
            .order(revocations::seq.asc())
            .limit(limit)
            .load(self.connection)?)
    }

    /// The newest records, newest first; of one kind, by its number, or of all.
    pub fn list_newest_revocations(
        &mut self,
        kind: Option<i32>,
        limit: i64,
    ) -> Result<Vec<RecordedRevocation>, StoreError> {
        let mut query = revocations::table.order(revocations::seq.desc()).limit(limit).into_boxed();
        if let Some(kind) = kind {
            query = query.filter(revocations::kind.eq(kind));
        }
        Ok(query.load(self.connection)?)
    }
}

impl Write<'_> {
    /// Appends a record of something that ends at `now`. The counter is taken inside the transaction, so that the
    /// order of commits and the order of the sequence are the same and there are no gaps. Call it last: on a server
    /// with several writers the counter is the lock that is held shortest.
    pub(crate) fn append_revocation(
        &mut self,
        kind: RevocationKind,
        id: &str,
        not_before: Instant,
        now: Instant,
    ) -> Result<(), StoreError> {
        let record = Revocation::new(kind, id.to_owned(), not_before, &self.authority()?, now);
        self.append_record(&record)
    }

    /// Appends a record that says itself when it expires.
    pub(crate) fn append_record(&mut self, record: &Revocation) -> Result<(), StoreError> {
        let count = diesel::update(revocation_counter::table)
            .set(revocation_counter::seq.eq(revocation_counter::seq + 1))
            .returning(revocation_counter::seq);
        let seq: i64 = on_either!(self.connection, |connection| fixed!(connection, count))?;
        diesel::insert_into(revocations::table)
            .values((
                revocations::seq.eq(seq),
                revocations::kind.eq(record.kind as i32),
                revocations::id.eq(&record.id),
                revocations::not_before.eq(record.not_before.as_millis()),
                revocations::expires_at.eq(record.expires_at.as_millis()),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// Removes up to `batch` records that no living token can match; says how many.
    pub fn purge_revocations(&mut self, now: Instant, batch: i64) -> Result<usize, StoreError> {
        Ok(on_either!(self.connection, |connection| {
            let expired = revocations::table
                .filter(revocations::expires_at.le(now.as_millis()))
                .select(revocations::seq)
                .limit(batch)
                .into_boxed();
            diesel::delete(revocations::table.filter(revocations::seq.eq_any(expired))).execute(connection)
        })?)
    }
}
