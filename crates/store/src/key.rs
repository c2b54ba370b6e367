use attesto_core::{AuditEvent, AuthorityId, Instant, KekId, KeyChange, KeyRecord, KeyTable};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::{RowOf, instant};
use crate::schema::keys;
use crate::store::{Read, Write};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = keys, treat_none_as_null = true)]
struct KeyRow {
    kid: String,
    algorithm: String,
    purpose: String,
    state: String,
    public_jwk: String,
    sealed_private_key: Option<Vec<u8>>,
    kek_id: String,
    authority_id: String,
    created_at: i64,
    published_at: Option<i64>,
    active_at: Option<i64>,
    demoted_at: Option<i64>,
    retired_at: Option<i64>,
    destroyed_at: Option<i64>,
    compromised_at: Option<i64>,
    mac: Vec<u8>,
}

/// Whether keys changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// They did.
    Yes,
    /// Somebody else changed them since they were read; nothing was written.
    LostRace,
}

impl Read<'_> {
    /// All keys, oldest first, and their ledger.
    pub fn find_key_table(&mut self) -> Result<KeyTable, StoreError> {
        let rows: Vec<KeyRow> = keys::table
            .select(KeyRow::as_select())
            .order((keys::created_at.asc(), keys::kid.asc()))
            .load(self.connection)?;
        let keys = rows.into_iter().map(KeyRecord::try_from).collect::<Result<_, _>>()?;
        Ok(KeyTable { keys, ledger: self.find_key_ledger()? })
    }
}

impl Write<'_> {
    /// Changes keys together with their ledger, the record for services and the audit rows: all on the very table that
    /// was decided on, or nothing.
    pub fn change_keys(&mut self, change: &KeyChange, events: &[AuditEvent]) -> Result<Changed, StoreError> {
        if self.advance_key_ledger(change.from, &change.ledger)? == Changed::LostRace {
            return Ok(Changed::LostRace);
        }
        for key in &change.rows {
            self.put_key(key)?;
        }
        if let Some((kid, used)) = &change.used {
            self.raise_key_use(kid, used)?;
        }
        for event in events {
            self.record(event)?;
        }
        if let Some(record) = &change.revocation {
            self.append_record(record)?;
        }
        Ok(Changed::Yes)
    }

    /// A second active key of a purpose and algorithm violates a constraint.
    fn put_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        let row = KeyRow::from(key);
        on_either!(self.connection, |connection| diesel::insert_into(keys::table)
            .values(&row)
            .on_conflict(keys::kid)
            .do_update()
            .set(&row)
            .execute(connection))?;
        Ok(())
    }
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "keys", row: &row.kid };
        Ok(Self {
            algorithm: of.need("algorithm", row.algorithm.parse())?,
            purpose: of.need("purpose", row.purpose.parse())?,
            state: of.need("state", row.state.parse())?,
            kid: row.kid,
            public_jwk: row.public_jwk,
            sealed_private_key: row.sealed_private_key,
            kek_id: KekId(row.kek_id),
            authority_id: AuthorityId(row.authority_id),
            created_at: Instant::from_millis(row.created_at),
            published_at: instant(row.published_at),
            active_at: instant(row.active_at),
            demoted_at: instant(row.demoted_at),
            retired_at: instant(row.retired_at),
            destroyed_at: instant(row.destroyed_at),
            compromised_at: instant(row.compromised_at),
            mac: row.mac,
        })
    }
}

impl From<&KeyRecord> for KeyRow {
    fn from(key: &KeyRecord) -> Self {
        let millis = |instant: Option<Instant>| instant.map(Instant::as_millis);
        Self {
            kid: key.kid.clone(),
            algorithm: key.algorithm.as_str().to_owned(),
            purpose: key.purpose.as_str().to_owned(),
            state: key.state.as_str().to_owned(),
            public_jwk: key.public_jwk.clone(),
            sealed_private_key: key.sealed_private_key.clone(),
            kek_id: key.kek_id.0.clone(),
            authority_id: key.authority_id.0.clone(),
            created_at: key.created_at.as_millis(),
            published_at: millis(key.published_at),
            active_at: millis(key.active_at),
            demoted_at: millis(key.demoted_at),
            retired_at: millis(key.retired_at),
            destroyed_at: millis(key.destroyed_at),
            compromised_at: millis(key.compromised_at),
            mac: key.mac.clone(),
        }
    }
}
