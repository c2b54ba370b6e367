use attesto_core::{Instant, KeyFacts, KeyUse};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::instant;
use crate::schema::key_uses;
use crate::store::{Read, Write};

impl Read<'_> {
    /// What the guards of keys go by.
    pub fn find_key_facts(&mut self) -> Result<KeyFacts, StoreError> {
        let rows: Vec<(String, Option<i64>, i64)> = key_uses::table.load(self.connection)?;
        let uses = rows.into_iter().map(|(kid, latest_exp, signatures)| {
            (kid, KeyUse { latest_exp: instant(latest_exp), signatures })
        });
        Ok(KeyFacts::new(uses.collect(), &self.authority()?))
    }
}

impl Write<'_> {
    /// Notes a key's use: `latest_exp` before the first token that expires later is signed, and how many signatures
    /// came to those that are noted. Neither ever falls.
    pub fn raise_key_use(&mut self, kid: &str, used: &KeyUse) -> Result<(), StoreError> {
        let latest_exp = used.latest_exp.map(Instant::as_millis);
        let unused =
            (key_uses::kid.eq(kid), key_uses::latest_exp.eq(None::<i64>), key_uses::signatures.eq(0_i64));
        on_either!(self.connection, |connection| diesel::insert_into(key_uses::table)
            .values(unused)
            .on_conflict_do_nothing()
            .execute(connection))?;
        self.hold_key_use(kid)?;
        let signatures: i64 =
            key_uses::table.find(kid).select(key_uses::signatures).get_result(self.connection)?;
        diesel::update(key_uses::table.find(kid))
            .set(key_uses::signatures.eq(signatures.saturating_add(used.signatures)))
            .execute(self.connection)?;
        diesel::update(key_uses::table.find(kid))
            .filter(key_uses::latest_exp.is_null().or(key_uses::latest_exp.lt(latest_exp)))
            .set(key_uses::latest_exp.eq(latest_exp))
            .execute(self.connection)?;
        Ok(())
    }
}
