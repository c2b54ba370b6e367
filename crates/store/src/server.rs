use std::time::Duration;

use attesto_core::{Instant, KekId, ServerReport};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::RowOf;
use crate::schema::servers;
use crate::store::{Read, Write};

/// For how long a server that fell silent is still shown.
const SHOWN: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = servers)]
struct ServerRow {
    id: String,
    version: String,
    kek_ids: String,
    confirmed_kids: String,
    key_version: i64,
    seen_at: i64,
    feed_seq: i64,
}

impl Read<'_> {
    /// The servers that run, or did within the last day.
    pub fn list_servers(&mut self) -> Result<Vec<ServerReport>, StoreError> {
        let rows: Vec<ServerRow> =
            servers::table.select(ServerRow::as_select()).order(servers::id.asc()).load(self.connection)?;
        rows.into_iter().map(ServerReport::try_from).collect()
    }
}

impl Write<'_> {
    /// A server says that it runs, and with which keys. What fell silent long ago is forgotten, and what
    /// a wrong clock wrote.
    pub fn put_server(&mut self, report: &ServerReport) -> Result<(), StoreError> {
        let row = ServerRow::from(report);
        on_either!(self.connection, |connection| diesel::insert_into(servers::table)
            .values(&row)
            .on_conflict(servers::id)
            .do_update()
            .set(&row)
            .execute(connection))?;
        let (from, to) = ((report.seen_at - SHOWN).as_millis(), (report.seen_at + SHOWN).as_millis());
        diesel::delete(servers::table.filter(servers::seen_at.lt(from).or(servers::seen_at.gt(to))))
            .execute(self.connection)?;
        self.raise_latest_seen_at(report.seen_at)
    }

    /// A server stops.
    pub fn remove_server(&mut self, id: &str) -> Result<(), StoreError> {
        diesel::delete(servers::table.find(id)).execute(self.connection)?;
        Ok(())
    }
}

impl TryFrom<ServerRow> for ServerReport {
    type Error = StoreError;

    fn try_from(row: ServerRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "servers", row: &row.id };
        let kek_ids: Vec<String> = of.need("kek_ids", serde_json::from_str(&row.kek_ids))?;
        Ok(Self {
            kek_ids: kek_ids.into_iter().map(KekId).collect(),
            confirmed_kids: of.need("confirmed_kids", serde_json::from_str(&row.confirmed_kids))?,
            id: row.id,
            version: row.version,
            key_version: row.key_version,
            seen_at: Instant::from_millis(row.seen_at),
            feed_seq: row.feed_seq,
        })
    }
}

impl From<&ServerReport> for ServerRow {
    fn from(report: &ServerReport) -> Self {
        let kek_ids: Vec<_> = report.kek_ids.iter().map(|id| id.0.clone()).collect();
        Self {
            id: report.id.clone(),
            version: report.version.clone(),
            kek_ids: serde_json::Value::from(kek_ids).to_string(),
            confirmed_kids: serde_json::Value::from(report.confirmed_kids.clone()).to_string(),
            key_version: report.key_version,
            seen_at: report.seen_at.as_millis(),
            feed_seq: report.feed_seq,
        }
    }
}
