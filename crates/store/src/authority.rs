use std::time::Duration;

use attesto_core::{
    AuditEvent, Authority, AuthorityId, Instant, Revocation, RevocationKind, VERIFIER_MARGIN, Watermark,
};
use diesel::prelude::*;

use crate::error::StoreError;
use crate::row::{RowOf, instant, millis};
use crate::schema::{authority, clients, keys, users};
use crate::session::Whose;
use crate::store::{Read, Write};

#[derive(Queryable, Selectable)]
#[diesel(table_name = authority)]
struct AuthorityRow {
    id: String,
    issuer: String,
    longest_access_lifetime: i64,
    longest_refresh_lifetime: i64,
    longest_jwks_lifetime: i64,
    latest_seen_at: Option<i64>,
}

/// Bounds that everything issued from now on keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of access tokens.
    pub access_lifetime: Duration,
    /// Of refresh tokens.
    pub refresh_lifetime: Duration,
    /// Of JWK Sets in caches.
    pub jwks_lifetime: Duration,
}

impl Read<'_> {
    /// The database's own facts; `None` before it was initialised.
    pub fn find_authority(&mut self) -> Result<Option<Authority>, StoreError> {
        let row: Option<AuthorityRow> =
            authority::table.select(AuthorityRow::as_select()).get_result(self.connection).optional()?;
        row.map(Authority::try_from).transpose()
    }

    /// Whether nothing was ever written by a first start.
    pub fn is_unused(&mut self) -> Result<bool, StoreError> {
        // Tables of the first migration only: a start may have been interrupted between two of them.
        let rows: [i64; 4] = [
            authority::table.count().get_result(self.connection)?,
            keys::table.count().get_result(self.connection)?,
            clients::table.count().get_result(self.connection)?,
            users::table.count().get_result(self.connection)?,
        ];
        Ok(rows == [0; 4])
    }

    /// The issuer, whatever the version of the schema; `None` before the database was initialised.
    pub fn find_issuer(&mut self) -> Result<Option<String>, StoreError> {
        Ok(authority::table.select(authority::issuer).get_result(self.connection).optional()?)
    }

    /// The watermark of the whole authority: sessions that began at or before it are over, whoever's they are.
    pub fn find_watermark(&mut self) -> Result<Watermark, StoreError> {
        let at: Option<Option<i64>> =
            authority::table.select(authority::watermark_at).get_result(self.connection).optional()?;
        Ok(Watermark(instant(at.flatten())))
    }

    pub(crate) fn authority(&mut self) -> Result<Authority, StoreError> {
        self.find_authority()?.ok_or(StoreError::Database(diesel::result::Error::NotFound))
    }
}

impl Write<'_> {
    /// The instant of an end: `now` and what was waited since, but no earlier than a server was seen. What servers have
    /// signed by then has to be covered, also if the clock of whoever ends it is behind theirs.
    pub(crate) fn end_at(&mut self, now: Instant) -> Result<Instant, StoreError> {
        let now = now + self.waited;
        Ok(self.find_key_facts()?.not_before_seen(now))
    }

    /// Writes the database's own facts, once.
    pub fn insert_authority(&mut self, new: &Authority) -> Result<(), StoreError> {
        diesel::insert_into(authority::table)
            .values((
                authority::one.eq(1),
                authority::id.eq(&new.id.0),
                authority::issuer.eq(&new.issuer),
                authority::longest_access_lifetime.eq(millis(new.longest_access_lifetime)),
                authority::longest_refresh_lifetime.eq(millis(new.longest_refresh_lifetime)),
                authority::longest_jwks_lifetime.eq(millis(new.longest_jwks_lifetime)),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// Ends all sessions of everybody: one watermark, one record.
    pub fn revoke_all_sessions(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        let longest = self.authority()?.longest_access_lifetime;
        self.revoke_everything(event, longest)
    }

    /// The same, where access tokens may live for longer than this database knows of.
    pub(crate) fn revoke_everything(
        &mut self,
        event: &AuditEvent,
        longest_access_lifetime: Duration,
    ) -> Result<(), StoreError> {
        self.hold_clients()?;
        self.hold_authority()?;
        let at = self.end_at(event.at)?;
        let expired_at = self.imported_until()?.max(Some(at + longest_access_lifetime)).unwrap_or(at);
        let watermark = self.find_watermark()?.raised(at);
        diesel::update(authority::table)
            .set(authority::watermark_at.eq(watermark.0.map(Instant::as_millis)))
            .execute(self.connection)?;
        self.raise_client_watermarks(watermark)?;
        self.record(event)?;
        self.revoke_sessions_after(watermark, Whose::Everybody, at)?;
        self.append_record(&Revocation {
            kind: RevocationKind::All,
            id: String::new(),
            not_before: watermark.0.unwrap_or(at),
            expires_at: expired_at + VERIFIER_MARGIN,
        })
    }

    /// When the last token expires that was signed elsewhere, by a key that this authority only publishes.
    fn imported_until(&mut self) -> Result<Option<Instant>, StoreError> {
        let (table, facts) = (self.find_key_table()?, self.find_key_facts()?);
        let imported = table.keys.iter().filter(|key| key.active_at.is_none());
        Ok(imported.filter_map(|key| facts.of(&key.kid).latest_exp).max())
    }

    /// A server was seen. The mark does not fall when a clock goes back, unless it stood too far ahead to be believed.
    pub(crate) fn raise_latest_seen_at(&mut self, now: Instant) -> Result<(), StoreError> {
        self.hold_authority()?;
        let facts = self.find_key_facts()?;
        diesel::update(authority::table)
            .set(authority::latest_seen_at.eq(facts.not_before_seen(now).as_millis()))
            .execute(self.connection)?;
        Ok(())
    }

    /// Raises the bounds, before the first token or answer that exceeds the old ones. They never fall.
    pub fn raise_bounds(&mut self, bounds: Bounds) -> Result<(), StoreError> {
        self.hold_authority()?;
        let present = self.authority()?;
        let longest = |one: Duration, other| millis(one.max(other));
        diesel::update(authority::table)
            .set((
                authority::longest_access_lifetime
                    .eq(longest(present.longest_access_lifetime, bounds.access_lifetime)),
                authority::longest_refresh_lifetime
                    .eq(longest(present.longest_refresh_lifetime, bounds.refresh_lifetime)),
                authority::longest_jwks_lifetime
                    .eq(longest(present.longest_jwks_lifetime, bounds.jwks_lifetime)),
            ))
            .execute(self.connection)?;
        Ok(())
    }
}

impl TryFrom<AuthorityRow> for Authority {
    type Error = StoreError;

    fn try_from(row: AuthorityRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "authority", row: "1" };
        Ok(Self {
            id: AuthorityId(row.id),
            issuer: row.issuer,
            longest_access_lifetime: of.duration("longest_access_lifetime", row.longest_access_lifetime)?,
            longest_refresh_lifetime: of
                .duration("longest_refresh_lifetime", row.longest_refresh_lifetime)?,
            longest_jwks_lifetime: of.duration("longest_jwks_lifetime", row.longest_jwks_lifetime)?,
            latest_seen_at: instant(row.latest_seen_at),
        })
    }
}
