use std::time::Duration;

use attesto_core::{
    AuditEvent, Client, ClientId, ClientKind, Ending, Instant, RevocationKind, Scope, SigningAlgorithm,
    Watermark,
};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::{RowOf, instant, millis};
use crate::schema::clients;
use crate::session::Whose;
use crate::store::{Read, Write};
use crate::user::Added;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = clients)]
pub(crate) struct ClientRow {
    id: String,
    secret_digest: Option<Vec<u8>>,
    redirect_uris: String,
    audience: String,
    scope: String,
    rotates: bool,
    grace_interval: Option<i64>,
    disabled_at: Option<i64>,
    watermark_at: Option<i64>,
    created_at: i64,
    access_token_algorithm: Option<String>,
    refresh_token_algorithm: Option<String>,
}

/// What of a client can be changed. Sessions keep the audience and scope that they began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The `aud` of access tokens.
    pub audience: String,
    /// The scope of access tokens.
    pub scope: Scope,
    /// Whether each refresh gives a new refresh token.
    pub rotates: bool,
    /// Its own grace interval.
    pub grace_interval: Option<Duration>,
}

impl ClientSettings {
    /// What a client is set to.
    pub fn of(client: &Client) -> Self {
        Self {
            audience: client.audience.clone(),
            scope: client.scope.clone(),
            rotates: client.rotates,
            grace_interval: client.grace_interval,
        }
    }
}

impl Read<'_> {
    /// The client of that identifier.
    pub fn find_client(&mut self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let row: Option<ClientRow> = clients::table
            .find(&id.0)
            .select(ClientRow::as_select())
            .get_result(self.connection)
            .optional()?;
        row.map(Client::try_from).transpose()
    }

    /// A page of clients by identifier, after the given one.
    pub fn list_clients(&mut self, after: &str, limit: i64) -> Result<Vec<Client>, StoreError> {
        let rows: Vec<ClientRow> = clients::table
            .filter(clients::id.gt(after))
            .order(clients::id.asc())
            .limit(limit)
            .select(ClientRow::as_select())
            .load(self.connection)?;
        rows.into_iter().map(Client::try_from).collect()
    }
}

impl Write<'_> {
    /// Adds a client, unless the identifier is taken.
    pub fn insert_client(&mut self, client: &Client, event: &AuditEvent) -> Result<Added, StoreError> {
        let row = ClientRow::from(client);
        let added = on_either!(self.connection, |connection| diesel::insert_into(clients::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        if added == 0 {
            return Ok(Added::NameTaken);
        }
        self.record(event)?;
        Ok(Added::Yes)
    }

    /// Changes a client's settings for what begins from now on; says whether the client exists.
    pub fn set_client(
        &mut self,
        id: &ClientId,
        settings: &ClientSettings,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let changed = diesel::update(clients::table.find(&id.0))
            .set((
                clients::audience.eq(&settings.audience),
                clients::scope.eq(settings.scope.to_string()),
                clients::rotates.eq(settings.rotates),
                clients::grace_interval.eq(settings.grace_interval.map(millis)),
            ))
            .execute(self.connection)?;
        if changed == 1 {
            self.record(event)?;
        }
        Ok(changed == 1)
    }

    /// Disables a client and ends all its sessions; enabling later revives none.
    pub fn disable_client(&mut self, id: &ClientId, event: &AuditEvent) -> Result<Ending, StoreError> {
        self.hold_client(id)?;
        let Some(client) = self.find_client(id)? else { return Ok(Ending::Unknown) };
        if client.disabled_at.is_some() {
            return Ok(Ending::AlreadyOver);
        }
        diesel::update(clients::table.find(&id.0))
            .set(clients::disabled_at.eq(event.at.as_millis()))
            .execute(self.connection)?;
        self.revoke_client_sessions(id, event)
    }

    /// Ends all sessions of a client: one watermark, one record, however many there are.
    pub fn revoke_client_sessions(
        &mut self,
        id: &ClientId,
        event: &AuditEvent,
    ) -> Result<Ending, StoreError> {
        self.hold_client(id)?;
        let Some(client) = self.find_client(id)? else { return Ok(Ending::Unknown) };
        let at = self.end_at(event.at)?;
        let watermark = client.watermark.raised(at);
        diesel::update(clients::table.find(&id.0))
            .set(clients::watermark_at.eq(watermark.0.map(Instant::as_millis)))
            .execute(self.connection)?;
        self.record(event)?;
        self.revoke_sessions_after(watermark, Whose::Client(id), at)?;
        self.append_revocation(RevocationKind::Client, &id.0, watermark.0.unwrap_or(at), at)?;
        Ok(Ending::Ended)
    }

    /// An end of everybody, said of each client as well: a refresh that waited to share its client sees it there.
    pub(crate) fn raise_client_watermarks(&mut self, watermark: Watermark) -> Result<(), StoreError> {
        let at = watermark.0.map(Instant::as_millis);
        diesel::update(clients::table)
            .filter(clients::watermark_at.is_null().or(clients::watermark_at.lt(at)))
            .set(clients::watermark_at.eq(at))
            .execute(self.connection)?;
        Ok(())
    }

    /// Lets a disabled client obtain tokens again; says whether there was one.
    pub fn enable_client(&mut self, id: &ClientId, event: &AuditEvent) -> Result<bool, StoreError> {
        let changed = diesel::update(clients::table.find(&id.0))
            .filter(clients::disabled_at.is_not_null())
            .set(clients::disabled_at.eq(None::<i64>))
            .execute(self.connection)?;
        if changed == 1 {
            self.record(event)?;
        }
        Ok(changed == 1)
    }
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "clients", row: &row.id };
        let kind = match row.secret_digest {
            None => ClientKind::Public,
            Some(digest) => ClientKind::Confidential(of.digest("secret_digest", &digest)?),
        };
        let algorithm =
            |column, name: Option<String>| name.map(|name| of.need(column, name.parse())).transpose();
        let access_token_algorithm = algorithm("access_token_algorithm", row.access_token_algorithm)?;
        let refresh_token_algorithm = algorithm("refresh_token_algorithm", row.refresh_token_algorithm)?;
        let grace_interval = row.grace_interval.map(|millis| of.duration("grace_interval", millis));
        Ok(Self {
            kind,
            redirect_uris: of.need("redirect_uris", serde_json::from_str(&row.redirect_uris))?,
            scope: of.need("scope", row.scope.parse())?,
            id: ClientId(row.id),
            audience: row.audience,
            rotates: row.rotates,
            grace_interval: grace_interval.transpose()?,
            disabled_at: instant(row.disabled_at),
            watermark: Watermark(instant(row.watermark_at)),
            created_at: Instant::from_millis(row.created_at),
            access_token_algorithm,
            refresh_token_algorithm,
        })
    }
}

impl From<&Client> for ClientRow {
    fn from(client: &Client) -> Self {
        let name =
            |algorithm: Option<SigningAlgorithm>| algorithm.map(|algorithm| algorithm.as_str().to_owned());
        let secret_digest = match client.kind {
            ClientKind::Public => None,
            ClientKind::Confidential(digest) => Some(digest.as_bytes().to_vec()),
        };
        Self {
            id: client.id.0.clone(),
            secret_digest,
            redirect_uris: serde_json::Value::from(client.redirect_uris.clone()).to_string(),
            audience: client.audience.clone(),
            scope: client.scope.to_string(),
            rotates: client.rotates,
            grace_interval: client.grace_interval.map(millis),
            disabled_at: client.disabled_at.map(Instant::as_millis),
            watermark_at: client.watermark.0.map(Instant::as_millis),
            created_at: client.created_at.as_millis(),
            access_token_algorithm: name(client.access_token_algorithm),
            refresh_token_algorithm: name(client.refresh_token_algorithm),
        }
    }
}
