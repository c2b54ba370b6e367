use attesto_core::{AuthorityId, Instant, KekId, KeyRecord};
use diesel::prelude::*;

use crate::error::StoreError;
use crate::row::{RowOf, instant};
use crate::schema::keys;
use crate::store::{Read, Write};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = keys)]
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

impl Read<'_> {
    /// All keys, oldest first.
    pub fn list_keys(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
        let rows: Vec<KeyRow> = keys::table
            .select(KeyRow::as_select())
            .order((keys::created_at.asc(), keys::kid.asc()))
            .load(self.connection)?;
        rows.into_iter().map(KeyRecord::try_from).collect()
    }
}

impl Write<'_> {
    /// Adds a key. A second active one of its purpose and algorithm violates a constraint.
    pub fn insert_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        diesel::insert_into(keys::table).values(KeyRow::from(key)).execute(self.connection)?;
        Ok(())
    }
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "keys", row: &row.kid };
        Ok(Self {
            purpose: of.need("purpose", row.purpose.parse())?,
            state: of.need("state", row.state.parse())?,
            kid: row.kid,
            algorithm: row.algorithm,
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
            algorithm: key.algorithm.clone(),
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
