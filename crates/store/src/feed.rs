use std::time::Duration;

use attesto_core::{AuditEvent, Feed, Instant, Policy};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::RowOf;
use crate::schema::{feed, revocation_counter};
use crate::store::{Read, Write};

/// Where the revocation feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedHead {
    /// Which feed.
    pub feed: Feed,
    /// The position of its newest record; 0 before the first.
    pub seq: i64,
}

impl Read<'_> {
    /// Where the feed stands, which has been begun.
    pub fn feed_head(&mut self) -> Result<FeedHead, StoreError> {
        self.find_feed_head()?.ok_or(StoreError::Database(diesel::result::Error::NotFound))
    }

    /// Where the feed stands; `None` before it was begun.
    pub fn find_feed_head(&mut self) -> Result<Option<FeedHead>, StoreError> {
        let row: Option<(i64, Vec<u8>)> =
            feed::table.select((feed::epoch, feed::salt)).get_result(self.connection).optional()?;
        let Some((epoch, salt)) = row else { return Ok(None) };
        let seq = revocation_counter::table.select(revocation_counter::seq).get_result(self.connection)?;
        let salt = RowOf { table: "feed", row: "1" }.need("salt", salt.try_into())?;
        Ok(Some(FeedHead { feed: Feed { epoch: Instant::from_millis(epoch), salt }, seq }))
    }
}

impl Write<'_> {
    /// Begins another feed, which services take over whole, and ends all sessions in it: for a database that has
    /// forgotten what its feed once said. Gives its epoch, which is later than any before.
    pub fn renew_feed(&mut self, new: &Feed, event: &AuditEvent) -> Result<Instant, StoreError> {
        let epoch = self.replace_feed(new)?;
        // What was signed since the copy may have lived for as long as can be configured.
        self.revoke_everything(event, Policy::MAX_ACCESS_LIFETIME)?;
        Ok(epoch)
    }

    /// The same without an end of sessions: those that were ended since are alive again.
    pub fn renew_feed_only(&mut self, new: &Feed, event: &AuditEvent) -> Result<Instant, StoreError> {
        let epoch = self.replace_feed(new)?;
        self.record(event)?;
        Ok(epoch)
    }

    fn replace_feed(&mut self, new: &Feed) -> Result<Instant, StoreError> {
        self.hold_feed()?;
        let present = self.feed_head()?.feed;
        let epoch = new.epoch.max(present.epoch + Duration::from_millis(1));
        diesel::update(feed::table)
            .set((feed::epoch.eq(epoch.as_millis()), feed::salt.eq(new.salt.as_slice())))
            .execute(self.connection)?;
        Ok(epoch)
    }

    /// Begins the feed, unless it was begun.
    pub fn begin_feed(&mut self, new: &Feed) -> Result<(), StoreError> {
        let row =
            (feed::one.eq(1), feed::epoch.eq(new.epoch.as_millis()), feed::salt.eq(new.salt.as_slice()));
        on_either!(self.connection, |connection| diesel::insert_into(feed::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        Ok(())
    }
}
