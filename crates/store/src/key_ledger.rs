use std::collections::BTreeMap;

use attesto_core::{KekId, KeyLedger};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::key::Changed;
use crate::row::RowOf;
use crate::schema::key_ledger;
use crate::store::{Read, Write};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = key_ledger)]
struct LedgerRow {
    one: i32,
    version: i64,
    rows: String,
    compromised: String,
    kek_id: String,
    mac: Vec<u8>,
}

impl Read<'_> {
    pub(crate) fn find_key_ledger(&mut self) -> Result<Option<KeyLedger>, StoreError> {
        let row: Option<LedgerRow> =
            key_ledger::table.select(LedgerRow::as_select()).get_result(self.connection).optional()?;
        row.map(KeyLedger::try_from).transpose()
    }
}

impl Write<'_> {
    /// Puts `next` in the place of version `from`. Of two changes that saw the same version one is first.
    pub(crate) fn advance_key_ledger(
        &mut self,
        from: Option<i64>,
        next: &KeyLedger,
    ) -> Result<Changed, StoreError> {
        let row = LedgerRow::from(next);
        let changed = match from {
            None => on_either!(self.connection, |connection| diesel::insert_into(key_ledger::table)
                .values(&row)
                .on_conflict_do_nothing()
                .execute(connection))?,
            Some(version) => diesel::update(key_ledger::table)
                .filter(key_ledger::version.eq(version))
                .set(&row)
                .execute(self.connection)?,
        };
        Ok(if changed == 1 { Changed::Yes } else { Changed::LostRace })
    }
}

impl TryFrom<LedgerRow> for KeyLedger {
    type Error = StoreError;

    fn try_from(row: LedgerRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "key_ledger", row: "1" };
        let rows: BTreeMap<String, String> = of.need("rows", serde_json::from_str(&row.rows))?;
        let rows = rows.into_iter().map(|(kid, mac)| Ok((kid, of.need("rows", unhex(&mac))?)));
        Ok(Self {
            version: row.version,
            rows: rows.collect::<Result<_, StoreError>>()?,
            compromised: of.need("compromised", serde_json::from_str(&row.compromised))?,
            kek_id: KekId(row.kek_id),
            mac: row.mac,
        })
    }
}

impl From<&KeyLedger> for LedgerRow {
    fn from(ledger: &KeyLedger) -> Self {
        let rows: serde_json::Map<_, _> =
            ledger.rows.iter().map(|(kid, mac)| (kid.clone(), hex(mac).into())).collect();
        Self {
            one: 1,
            version: ledger.version,
            rows: serde_json::Value::from(rows).to_string(),
            compromised: serde_json::Value::from(ledger.compromised.clone()).to_string(),
            kek_id: ledger.kek_id.0.clone(),
            mac: ledger.mac.clone(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Only what [`hex`] writes.
fn unhex(digits: &str) -> Result<Vec<u8>, ()> {
    let bytes = digits.as_bytes().chunks(2).map(|two| {
        let two = std::str::from_utf8(two).ok()?;
        u8::from_str_radix(two, 16).ok()
    });
    bytes.collect::<Option<Vec<u8>>>().filter(|bytes| hex(bytes) == digits).ok_or(())
}
