use std::time::Duration;

use attesto_core::{Authority, AuthorityId};
use diesel::prelude::*;

use crate::error::StoreError;
use crate::row::{RowOf, millis};
use crate::schema::authority;
use crate::store::{Read, Write};

impl Read<'_> {
    /// The database's own facts; `None` before it was initialised.
    pub fn find_authority(&mut self) -> Result<Option<Authority>, StoreError> {
        let row: Option<(String, String, i64)> = authority::table
            .select((authority::id, authority::issuer, authority::longest_access_lifetime))
            .first(self.connection)
            .optional()?;
        let of = RowOf { table: "authority", row: "1" };
        row.map(|(id, issuer, longest)| {
            let longest_access_lifetime = of.duration("longest_access_lifetime", longest)?;
            Ok(Authority { id: AuthorityId(id), issuer, longest_access_lifetime })
        })
        .transpose()
    }

    pub(crate) fn authority(&mut self) -> Result<Authority, StoreError> {
        self.find_authority()?.ok_or(StoreError::Database(diesel::result::Error::NotFound))
    }
}

impl Write<'_> {
    /// Writes the database's own facts, once.
    pub fn insert_authority(&mut self, new: &Authority) -> Result<(), StoreError> {
        diesel::insert_into(authority::table)
            .values((
                authority::one.eq(1),
                authority::id.eq(&new.id.0),
                authority::issuer.eq(&new.issuer),
                authority::longest_access_lifetime.eq(millis(new.longest_access_lifetime)),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// Raises the bound on access-token life, before the first token that exceeds the old one. It never falls.
    pub fn raise_longest_access_lifetime(&mut self, lifetime: Duration) -> Result<(), StoreError> {
        diesel::update(authority::table)
            .filter(authority::longest_access_lifetime.lt(millis(lifetime)))
            .set(authority::longest_access_lifetime.eq(millis(lifetime)))
            .execute(self.connection)?;
        Ok(())
    }
}
