use attesto_core::{
    AuditEdition, AuditEvent, AuditHead, AuditLink, AuditPlace, ChainedEvent, Digest, Instant, KekId,
    RecordedEvent, SealedAuditHead,
};
use diesel::dsl::{auto_type, count, count_star, max, min};
use diesel::prelude::*;

use crate::audit::EventRow;
use crate::connection::on_either;
use crate::error::StoreError;
use crate::key::Changed;
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

/// What became of a chain that was to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It has begun.
    Yes,
    /// Rows have places of the chain before.
    NotYet,
    /// Somebody else has begun one.
    LostRace,
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
        Ok(row.map(SealedAuditHead::from))
    }

    /// The last place that a row claims; `None` if no row has one.
    pub fn find_last_audit_seq(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(audit_events::table.select(max(audit_events::chain_seq)).get_result(self.connection)?)
    }

    /// The hash that is stored at a place; `None` if none is.
    pub fn find_audit_hash(&mut self, seq: i64) -> Result<Option<Digest>, StoreError> {
        let hash: Option<Option<Vec<u8>>> = audit_events::table
            .filter(audit_events::chain_seq.eq(seq))
            .select(audit_events::chain_hash)
            .order(audit_events::id.asc())
            .first(self.connection)
            .optional()?;
        Ok(hash.flatten().and_then(|hash| Digest::from_bytes(&hash)))
    }

    /// How many rows claim a place. Looks at all of them.
    pub fn count_sealed_audit_events(&mut self) -> Result<i64, StoreError> {
        Ok(audit_events::table.select(count(audit_events::chain_seq)).get_result(self.connection)?)
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
        let rows: Vec<EventRow> = unsealed(limit).select(EventRow::as_select()).load(self.connection)?;
        Ok(rows.into_iter().map(RecordedEvent::from).collect())
    }

    /// A page of the chain: the rows behind the place `after`, in the order of their places.
    pub fn list_sealed_audit_events(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ChainedEvent>, StoreError> {
        let rows: Vec<(EventRow, Option<i64>, Option<Vec<u8>>)> = behind(after, limit)
            .select((EventRow::as_select(), audit_events::chain_seq, audit_events::chain_hash))
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
        from: Option<AuditEdition>,
        next: &SealedAuditHead,
        links: &[AuditLink],
    ) -> Result<Changed, StoreError> {
        let advanced = match from {
            Some(from) => self.advance_audit_head(from, next)?,
            None => self.begin_first_audit_chain(next)?,
        };
        if advanced == Changed::LostRace {
            return Ok(Changed::LostRace);
        }
        links.iter().try_for_each(|link| self.place_audit_event(link))?;
        Ok(Changed::Yes)
    }

    /// Removes the rows from where the chain of `from` begins up to where that of `next` does; says how many there were.
    /// What claims other places stays, and so do all if one is missing.
    pub fn purge_audit_events(
        &mut self,
        from: &AuditHead,
        next: &SealedAuditHead,
    ) -> Result<Option<usize>, StoreError> {
        if self.advance_audit_head(from.edition(), next)? == Changed::LostRace {
            return Ok(None);
        }
        let (first, last) = (from.purged.seq + 1, next.head.purged.seq);
        let gone = diesel::delete(audit_events::table.filter(audit_events::chain_seq.between(first, last)))
            .execute(self.connection)?;
        if i64::try_from(gone) == Ok(last + 1 - first) { Ok(Some(gone)) } else { Err(not_as_read()) }
    }

    /// Gives the chain up, and records why. The row of that takes the highest place that there was, which it gives: whoever
    /// goes on after an interruption finds it there.
    pub fn give_up_audit_chain(&mut self, event: &AuditEvent) -> Result<i64, StoreError> {
        self.hold_authority()?;
        let head = self.find_audit_head()?.map(|sealed| sealed.head.last.seq);
        diesel::delete(audit_head::table).execute(self.connection)?;
        let highest = head.max(self.find_last_audit_seq()?).unwrap_or(0);
        self.record_at(event, Some(highest))?;
        Ok(highest)
    }

    /// Takes the places of the chain before from a batch of rows, the lowest first; with the last of them another chain
    /// begins.
    pub fn begin_audit_chain(&mut self, next: &SealedAuditHead, batch: i64) -> Result<Renewed, StoreError> {
        self.hold_authority()?;
        if self.find_audit_head()?.is_some() {
            return Ok(Renewed::LostRace);
        }
        // From the first number on: rows without a place come before it in the index of SQLite.
        let mut ids: Vec<i64> =
            from_place(i64::MIN, batch + 1).select(audit_events::id).load(self.connection)?;
        let is_last = ids.len().cast_signed() as i64 <= batch;
        ids.truncate(usize::try_from(batch).unwrap_or(usize::MAX));
        let no_place =
            (audit_events::chain_seq.eq(None::<i64>), audit_events::chain_hash.eq(None::<Vec<u8>>));
        on_either!(self.connection, |connection| diesel::update(
            audit_events::table.filter(audit_events::id.eq_any(ids))
        )
        .set(no_place)
        .execute(connection))?;
        if !is_last {
            return Ok(Renewed::NotYet);
        }
        diesel::insert_into(audit_head::table).values(HeadRow::from(next)).execute(self.connection)?;
        Ok(Renewed::Yes)
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
        if placed == 1 { Ok(()) } else { Err(not_as_read()) }
    }

    fn advance_audit_head(
        &mut self,
        from: AuditEdition,
        next: &SealedAuditHead,
    ) -> Result<Changed, StoreError> {
        let changed = diesel::update(audit_head::table)
            .filter(audit_head::begun_at.eq(from.begun_at.as_millis()))
            .filter(audit_head::version.eq(from.version))
            .set(HeadRow::from(next))
            .execute(self.connection)?;
        Ok(if changed == 1 { Changed::Yes } else { Changed::LostRace })
    }

    /// Where rows have places there was a chain, and [another one](Self::begin_audit_chain) is not the first.
    fn begin_first_audit_chain(&mut self, next: &SealedAuditHead) -> Result<Changed, StoreError> {
        self.hold_authority()?;
        if self.find_last_audit_seq()?.is_some() {
            return Ok(Changed::LostRace);
        }
        let row = HeadRow::from(next);
        let changed = on_either!(self.connection, |connection| diesel::insert_into(audit_head::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        Ok(if changed == 1 { Changed::Yes } else { Changed::LostRace })
    }
}

// In the order of the index, which is the only way that PostgreSQL finds them by it.
#[auto_type(no_type_alias)]
fn unsealed(limit: i64) -> _ {
    audit_events::table
        .filter(audit_events::chain_seq.is_null())
        .order((audit_events::chain_seq.asc(), audit_events::id.asc()))
        .limit(limit)
}

#[auto_type(no_type_alias)]
fn behind(after: i64, limit: i64) -> _ {
    audit_events::table
        .filter(audit_events::chain_seq.gt(after))
        .order((audit_events::chain_seq.asc(), audit_events::id.asc()))
        .limit(limit)
}

#[auto_type(no_type_alias)]
fn from_place(first: i64, limit: i64) -> _ {
    audit_events::table
        .filter(audit_events::chain_seq.ge(first))
        .order((audit_events::chain_seq.asc(), audit_events::id.asc()))
        .limit(limit)
}

/// Rows are not what they were when it was decided on them.
fn not_as_read() -> StoreError {
    StoreError::Database(diesel::result::Error::NotFound)
}

impl From<HeadRow> for SealedAuditHead {
    fn from(row: HeadRow) -> Self {
        // What is no hash is none that the MAC was made over.
        let place =
            |seq, hash: &[u8]| AuditPlace { seq, hash: Digest::from_bytes(hash).unwrap_or(Digest::ZERO) };
        let head = AuditHead {
            version: row.version,
            begun_at: Instant::from_millis(row.begun_at),
            last: place(row.seq, &row.hash),
            sealed_at: Instant::from_millis(row.sealed_at),
            purged: place(row.purged_seq, &row.purged_hash),
        };
        Self { head, kek_id: KekId(row.kek_id), mac: row.mac }
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

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;
    use std::path::Path;

    use attesto_cluster::Scratch;
    use diesel::backend::Backend;
    use diesel::connection::SimpleConnection;
    use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
    use diesel::sql_types::{Integer, Text};
    use diesel::{PgConnection, SqliteConnection};

    use super::*;
    use crate::store::Store;
    use crate::url::DatabaseUrl;

    /// What the database would do for a query.
    struct Explain<Q, T>(&'static str, Q, PhantomData<T>);

    impl<Q, T> Query for Explain<Q, T> {
        type SqlType = T;
    }

    impl<Q, T> QueryId for Explain<Q, T> {
        type QueryId = ();

        const HAS_STATIC_QUERY_ID: bool = false;
    }

    impl<Q: QueryFragment<DB>, T, DB: Backend> QueryFragment<DB> for Explain<Q, T> {
        fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
            out.push_sql(self.0);
            self.1.walk_ast(out)
        }
    }

    impl<Q, T, C> RunQueryDsl<C> for Explain<Q, T> {}

    /// What is asked every few seconds, whatever the size of the table.
    macro_rules! plans {
        ($plan:ident) => {{
            let of_place = audit_events::chain_seq.between(1_i64, 500_i64);
            [
                $plan!(unsealed(500)),
                $plan!(behind(10, 500)),
                $plan!(from_place(i64::MIN, 500)),
                $plan!(audit_events::table.select(max(audit_events::chain_seq))),
                $plan!(
                    audit_events::table
                        .filter(audit_events::chain_seq.eq(7_i64))
                        .select(audit_events::chain_hash)
                        .order(audit_events::id.asc())
                        .limit(1)
                ),
                $plan!(
                    audit_events::table
                        .filter(audit_events::chain_seq.is_null())
                        .select((count_star(), min(audit_events::at)))
                ),
                $plan!(diesel::delete(audit_events::table.filter(of_place))),
            ]
        }};
    }

    #[tokio::test]
    async fn no_query_of_sqlite_looks_at_the_whole_table() {
        type Row = (Integer, Integer, Integer, Text);
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse("sqlite:a.db", folder.path()).unwrap();
        Store::create(&url).await.unwrap();
        let path = folder.path().join("a.db");
        let connection = &mut SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        macro_rules! plan {
            ($query:expr) => {{
                let explain = Explain::<_, Row>("EXPLAIN QUERY PLAN ", $query, PhantomData);
                let rows: Vec<(i32, i32, i32, String)> = explain.load(connection).unwrap();
                rows.into_iter().map(|(.., detail)| detail).collect::<Vec<_>>().join("; ")
            }};
        }
        for plan in plans!(plan) {
            assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[tokio::test]
    async fn no_query_of_postgres_looks_at_the_whole_table() {
        let scratch = Scratch::new().unwrap();
        Store::create(&DatabaseUrl::parse(&scratch.url(), Path::new("/")).unwrap()).await.unwrap();
        let connection = &mut PgConnection::establish(&scratch.url()).unwrap();
        // As many as it takes for an index to be worth it.
        let rows = "INSERT INTO audit_events (at, event, actor, chain_seq, chain_hash) \
                    SELECT n, 'signed_in', 'server', CASE WHEN n <= 19900 THEN n END, '' FROM generate_series(1, 20000) n; \
                    ANALYZE audit_events";
        connection.batch_execute(rows).unwrap();
        macro_rules! plan {
            ($query:expr) => {{
                let explain = Explain::<_, Text>("EXPLAIN ", $query, PhantomData);
                explain.load::<String>(connection).unwrap().join("; ")
            }};
        }
        for plan in plans!(plan) {
            assert!(plan.contains("audit_events_by_place") && !plan.contains("Seq Scan"), "{plan}");
            assert!(!plan.contains("Sort"), "{plan}");
        }
    }
}
