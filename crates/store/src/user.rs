use attesto_core::{
    AuditEvent, CustomClaims, Ending, Instant, PasswordHash, RevocationKind, User, UserId, UserStanding,
    Username, Watermark,
};
use diesel::prelude::*;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::{RowOf, instant};
use crate::schema::users;
use crate::session::Whose;
use crate::store::{Read, Write};

/// Whether a row could be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was added.
    Yes,
    /// Its name is taken; nothing changed.
    NameTaken,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    id: String,
    username: String,
    password_hash: String,
    password_version: i64,
    claims: String,
    disabled_at: Option<i64>,
    watermark_at: Option<i64>,
    created_at: i64,
}

/// What the gate asks of a user; the identifier says that there is one.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserStandingRow {
    #[expect(dead_code, reason = "a NULL here is how diesel knows that there is no user")]
    id: String,
    disabled_at: Option<i64>,
    watermark_at: Option<i64>,
}

impl Read<'_> {
    /// The user of that name, spelled exactly so.
    pub fn find_user_by_name(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = users::table
            .filter(users::username.eq(username))
            .select(UserRow::as_select())
            .get_result(self.connection)
            .optional()?;
        row.map(User::try_from).transpose()
    }

    /// The user of that identifier.
    pub fn find_user(&mut self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> =
            users::table.find(&id.0).select(UserRow::as_select()).get_result(self.connection).optional()?;
        row.map(User::try_from).transpose()
    }

    /// A page of users by name, after the given one.
    pub fn list_users(&mut self, after: &str, limit: i64) -> Result<Vec<User>, StoreError> {
        let rows: Vec<UserRow> = users::table
            .filter(users::username.gt(after))
            .order(users::username.asc())
            .limit(limit)
            .select(UserRow::as_select())
            .load(self.connection)?;
        rows.into_iter().map(User::try_from).collect()
    }
}

impl Write<'_> {
    /// Adds a user, unless the name is taken.
    pub fn insert_user(&mut self, user: &User, event: &AuditEvent) -> Result<Added, StoreError> {
        let row = UserRow::from(user);
        let added = on_either!(self.connection, |connection| diesel::insert_into(users::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        if added == 0 {
            return Ok(Added::NameTaken);
        }
        self.record(event)?;
        Ok(Added::Yes)
    }

    /// Disables a user and ends all sessions; enabling later revives none.
    pub fn disable_user(&mut self, id: &UserId, event: &AuditEvent) -> Result<Ending, StoreError> {
        self.hold_user(id)?;
        let Some(user) = self.find_user(id)? else { return Ok(Ending::Unknown) };
        if user.disabled_at.is_some() {
            return Ok(Ending::AlreadyOver);
        }
        diesel::update(users::table.find(&id.0))
            .set(users::disabled_at.eq(event.at.as_millis()))
            .execute(self.connection)?;
        self.revoke_user_sessions(id, event)
    }

    /// Lets a disabled user sign in again; says whether there was one.
    pub fn enable_user(&mut self, id: &UserId, event: &AuditEvent) -> Result<bool, StoreError> {
        let changed = diesel::update(users::table.find(&id.0))
            .filter(users::disabled_at.is_not_null())
            .set(users::disabled_at.eq(None::<i64>))
            .execute(self.connection)?;
        if changed == 1 {
            self.record(event)?;
        }
        Ok(changed == 1)
    }

    /// Removes a user and ends all sessions. The identifier is never given again.
    pub fn delete_user(&mut self, id: &UserId, event: &AuditEvent) -> Result<Ending, StoreError> {
        let ending = self.revoke_user_sessions(id, event)?;
        diesel::delete(users::table.find(&id.0)).execute(self.connection)?;
        Ok(ending)
    }

    /// Sets a password and ends all sessions.
    pub fn set_password(
        &mut self,
        id: &UserId,
        hash: &PasswordHash,
        event: &AuditEvent,
    ) -> Result<Ending, StoreError> {
        self.hold_user(id)?;
        diesel::update(users::table.find(&id.0))
            .set((
                users::password_hash.eq(hash.expose()),
                users::password_version.eq(users::password_version + 1),
            ))
            .execute(self.connection)?;
        self.revoke_user_sessions(id, event)
    }

    /// Sets the claims that future sessions' tokens carry; says whether the user exists.
    pub fn set_claims(
        &mut self,
        id: &UserId,
        claims: &CustomClaims,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let changed = diesel::update(users::table.find(&id.0))
            .set(users::claims.eq(claims.to_json()))
            .execute(self.connection)?;
        if changed == 1 {
            self.record(event)?;
        }
        Ok(changed == 1)
    }

    /// Ends all sessions of a user: one watermark, one record, however many there are.
    pub fn revoke_user_sessions(&mut self, id: &UserId, event: &AuditEvent) -> Result<Ending, StoreError> {
        self.hold_user(id)?;
        let Some(user) = self.find_user(id)? else { return Ok(Ending::Unknown) };
        let at = self.end_at(event.at)?;
        let watermark = user.watermark.raised(at);
        diesel::update(users::table.find(&id.0))
            .set(users::watermark_at.eq(watermark.0.map(Instant::as_millis)))
            .execute(self.connection)?;
        self.record(event)?;
        self.revoke_sessions_after(watermark, Whose::User(id), at)?;
        self.append_revocation(RevocationKind::Subject, &id.0, watermark.0.unwrap_or(at), at)?;
        Ok(Ending::Ended)
    }
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "users", row: &row.id };
        Ok(Self {
            username: of.need("username", Username::new(&row.username))?,
            claims: of.need("claims", CustomClaims::parse(&row.claims))?,
            id: UserId(row.id),
            password_hash: PasswordHash::new(row.password_hash),
            password_version: row.password_version,
            disabled_at: instant(row.disabled_at),
            watermark: Watermark(instant(row.watermark_at)),
            created_at: Instant::from_millis(row.created_at),
        })
    }
}

impl From<UserStandingRow> for UserStanding {
    fn from(row: UserStandingRow) -> Self {
        Self { disabled_at: instant(row.disabled_at), watermark: Watermark(instant(row.watermark_at)) }
    }
}

impl From<&User> for UserRow {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0.clone(),
            username: user.username.as_str().to_owned(),
            password_hash: user.password_hash.expose().to_owned(),
            password_version: user.password_version,
            claims: user.claims.to_json(),
            disabled_at: user.disabled_at.map(Instant::as_millis),
            watermark_at: user.watermark.0.map(Instant::as_millis),
            created_at: user.created_at.as_millis(),
        }
    }
}
