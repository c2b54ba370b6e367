use attesto_core::{
    AuditEvent, Client, ClientId, CustomClaims, Ending, Instant, Keep, Reason, Repeat, RevocationKind,
    Rotation, Session, SessionId, Standing, User, UserId, UserStanding, Watermark,
};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use crate::client::ClientRow;
use crate::connection::on_either;
use crate::error::StoreError;
use crate::fixed::fixed;
use crate::lock::beside_ends;
use crate::row::{RowOf, instant};
use crate::schema::{clients, sessions, users};
use crate::store::{Change, Read, Write};
use crate::user::UserStandingRow;

/// Whether a session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// It did.
    Yes,
    /// User, password, client or watermarks are no longer what the decision saw; nothing changed.
    Stale,
}

/// Whether a session moved on: to its next generation, or by a use of a refresh token that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It did.
    Yes,
    /// Somebody else was first, or the session has ended; nothing changed.
    LostRace,
}

/// Whose sessions end together.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    User(&'a UserId),
    Client(&'a ClientId),
    Everybody,
}

/// A session as operators see it.
#[derive(Clone, Debug)]
pub struct ListedSession {
    /// The session.
    pub session: Session,
    /// Its user's name, unless the user was deleted.
    pub username: Option<String>,
    /// Whether the gate would let it pass.
    pub is_live: bool,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    id: String,
    user_id: String,
    client_id: String,
    scope: String,
    audience: String,
    auth_time: i64,
    claims: String,
    generation: i64,
    jti_digest: Vec<u8>,
    previous_jti_digest: Option<Vec<u8>>,
    rotated_at: i64,
    kid: String,
    sealed_successor: Option<Vec<u8>>,
    rotated_by: Vec<u8>,
    created_at: i64,
    last_used_at: i64,
    idle_expires_at: i64,
    absolute_expires_at: i64,
    revoked_at: Option<i64>,
}

impl Read<'_> {
    /// A session with its client and user, as they are in one instant.
    pub fn find_standing(&mut self, id: &SessionId) -> Result<Option<Standing>, StoreError> {
        let row: QueryResult<StandingRow> = on_either!(self.connection, |connection| {
            let query = sessions::table
                .inner_join(clients::table)
                .left_join(users::table)
                .filter(sessions::id.eq(&id.0))
                .select((
                    SessionRow::as_select(),
                    ClientRow::as_select(),
                    Option::<UserStandingRow>::as_select(),
                    sql::<Nullable<BigInt>>("(SELECT watermark_at FROM authority)"),
                ));
            fixed!(connection, query)
        });
        row.optional()?.map(standing).transpose()
    }

    /// How many sessions the gate would let pass. Looks at each of them once: not for the path of a request.
    pub fn count_living_sessions(&mut self, now: Instant) -> Result<i64, StoreError> {
        Ok(sessions::table.filter(passes_gate(now)).count().get_result(self.connection)?)
    }

    /// A page of sessions by identifier, after the given one; of one user or of all.
    pub fn list_sessions(
        &mut self,
        user_id: Option<&UserId>,
        after: &str,
        limit: i64,
        now: Instant,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let mut query = sessions::table
            .inner_join(clients::table)
            .left_join(users::table)
            .filter(sessions::id.gt(after))
            .order(sessions::id.asc())
            .limit(limit)
            .select((
                SessionRow::as_select(),
                ClientRow::as_select(),
                Option::<UserStandingRow>::as_select(),
                sql::<Nullable<BigInt>>("(SELECT watermark_at FROM authority)"),
                users::username.nullable(),
            ))
            .into_boxed();
        if let Some(user_id) = user_id {
            query = query.filter(sessions::user_id.eq(&user_id.0));
        }
        let rows: Vec<ListedRow> = query.load(self.connection)?;
        rows.into_iter()
            .map(|(session, client, user, watermark, username)| {
                let standing = standing((session, client, user, watermark))?;
                let is_live = standing.gate(&standing.session.client_id, now).is_none();
                Ok(ListedSession { is_live, username, session: standing.session })
            })
            .collect()
    }
}

impl Write<'_> {
    /// Begins a session, if user, password and client are still as the decision saw them.
    pub fn insert_session(
        &mut self,
        session: &Session,
        password_version: i64,
        event: &AuditEvent,
    ) -> Result<Began, StoreError> {
        self.share_user_and_client(&session.user_id, &session.client_id)?;
        let user = self.find_user(&session.user_id)?;
        let client = self.find_client(&session.client_id)?;
        let is_over = self.find_watermark()?.covers(session.created_at);
        if is_over || !still_allowed(user.as_ref(), client.as_ref(), session, password_version) {
            return Ok(Began::Stale);
        }
        diesel::insert_into(sessions::table).values(SessionRow::from(session)).execute(self.connection)?;
        self.record(event)?;
        Ok(Began::Yes)
    }

    /// Says whether a successor may be given again, with the fresh access token that comes with it, and then records
    /// `event`. No column of the session changes.
    pub fn repeat_session(
        &mut self,
        repeat: &Repeat,
        event: Option<&AuditEvent>,
    ) -> Result<bool, StoreError> {
        let (sid, decided_at) = (&repeat.access.sid, repeat.access.issued_at);
        self.share_standing(sid)?;
        let standing =
            sessions::table.find(&sid.0).filter(passes_gate(decided_at)).select(sessions::generation);
        let found: QueryResult<i64> = on_either!(self.connection, |connection| fixed!(connection, standing));
        let stands = found.optional()?.is_some();
        match event {
            Some(event) if stands => self.record(event).map(|()| stands),
            _ => Ok(stands),
        }
    }

    /// Ends a session: row, feed record and audit row together.
    pub fn revoke_session(
        &mut self,
        id: &SessionId,
        reason: Reason,
        event: &AuditEvent,
    ) -> Result<Ending, StoreError> {
        let update = diesel::update(sessions::table)
            .filter(sessions::id.eq(&id.0))
            .filter(sessions::revoked_at.is_null()) // the guard
            .set((
                sessions::revoked_at.eq(event.at.as_millis()),
                sessions::revocation_reason.eq(reason.as_str()),
                sessions::sealed_successor.eq(None::<Vec<u8>>),
            ))
            .returning((sessions::user_id, sessions::client_id, sessions::last_used_at));
        let ended: QueryResult<(String, String, i64)> =
            on_either!(self.connection, |connection| fixed!(connection, update));
        let Some((user_id, client_id, last_used_at)) = ended.optional()? else {
            return self.why_not_ended(id);
        };
        let event = event.clone().session(id).user(&UserId(user_id)).client(&ClientId(client_id));
        // An operator may have said it in a sentence.
        let event = if event.reason.is_some() { event } else { event.because(reason) };
        self.record(&event)?;
        let at = self.end_at(event.at)?;
        self.append_end_of_session(&id.0, last_used_at, at)?;
        Ok(Ending::Ended)
    }

    /// Ends what the watermark of an end at `at` misses, one by one: sessions that were begun or refreshed by a clock that
    /// was ahead. A watermark that covers them would have everybody wait until then.
    pub(crate) fn revoke_sessions_after(
        &mut self,
        watermark: Watermark,
        whose: Whose<'_>,
        at: Instant,
    ) -> Result<(), StoreError> {
        let Some(end) = watermark.end() else { return Ok(()) };
        let later = diesel::update(sessions::table)
            .filter(sessions::last_used_at.ge(end.as_millis()))
            .filter(sessions::revoked_at.is_null())
            .set((
                sessions::revoked_at.eq(at.as_millis()),
                sessions::revocation_reason.eq(Reason::Operator.as_str()),
                sessions::sealed_successor.eq(None::<Vec<u8>>),
            ))
            .into_boxed();
        let theirs = match whose {
            Whose::User(id) => later.filter(sessions::user_id.eq(&id.0)),
            Whose::Client(id) => later.filter(sessions::client_id.eq(&id.0)),
            Whose::Everybody => later,
        };
        let ended: Vec<(String, i64)> =
            theirs.returning((sessions::id, sessions::last_used_at)).get_results(self.connection)?;
        ended.iter().try_for_each(|(id, last_used_at)| self.append_end_of_session(id, *last_used_at, at))
    }

    /// It lives as long as the last access token, also if that was issued by a clock that was ahead.
    fn append_end_of_session(&mut self, id: &str, last_used_at: i64, at: Instant) -> Result<(), StoreError> {
        let last_issued_at = at.max(Instant::from_millis(last_used_at));
        self.append_revocation(RevocationKind::Session, id, at, last_issued_at)
    }

    /// Removes up to `batch` sessions that have expired, and whose last access token has too; says how many. Until then
    /// they can still be ended.
    pub fn purge_sessions(&mut self, now: Instant, batch: i64) -> Result<usize, StoreError> {
        let expired_by = now - self.authority()?.aftermath();
        Ok(on_either!(self.connection, |connection| {
            let expired = sessions::table
                .filter(sessions::idle_expires_at.le(expired_by.as_millis()))
                .select(sessions::id)
                .limit(batch)
                .into_boxed();
            diesel::delete(sessions::table.filter(sessions::id.eq_any(expired))).execute(connection)
        })?)
    }

    fn why_not_ended(&mut self, id: &SessionId) -> Result<Ending, StoreError> {
        let exists: bool =
            diesel::select(diesel::dsl::exists(sessions::table.find(&id.0))).get_result(self.connection)?;
        Ok(if exists { Ending::AlreadyOver } else { Ending::Unknown })
    }
}

impl Change<'_> {
    /// Moves a session to its next generation. One row changes, or somebody else was first: another rotation, or an end
    /// of the session, of its user's, its client's, or of all.
    pub fn rotate_session(self, next: &Rotation) -> Result<Moved, StoreError> {
        let update = diesel::update(sessions::table)
            .filter(sessions::id.eq(&next.sid.0))
            .filter(sessions::generation.eq(next.from)) // the guard
            .filter(passes_gate(next.rotated_at))
            .set((
                sessions::generation.eq(next.from + 1),
                sessions::jti_digest.eq(next.jti_digest.as_bytes().as_slice()),
                sessions::previous_jti_digest.eq(next.previous_jti_digest.as_bytes().as_slice()),
                sessions::rotated_at.eq(next.rotated_at.as_millis()),
                sessions::kid.eq(&next.kid),
                sessions::sealed_successor.eq(&next.sealed_successor),
                sessions::rotated_by.eq(next.rotated_by.as_bytes().as_slice()),
                sessions::last_used_at.eq(later_of(next.rotated_at)),
                sessions::idle_expires_at.eq(next.idle_expires_at.as_millis()),
            ))
            .returning(sessions::generation);
        moved(beside_ends!(self.connection, &next.sid, update))
    }

    /// Notes the use of a refresh token that stays. It counts as the use of a successor: the grace of its predecessor,
    /// if it had one, is over.
    pub fn keep_session(self, keep: &Keep) -> Result<Moved, StoreError> {
        let update = diesel::update(sessions::table)
            .filter(sessions::id.eq(&keep.access.sid.0))
            .filter(sessions::generation.eq(keep.generation)) // the guard
            .filter(passes_gate(keep.access.issued_at))
            .set((
                sessions::previous_jti_digest.eq(None::<Vec<u8>>),
                sessions::sealed_successor.eq(None::<Vec<u8>>),
                sessions::last_used_at.eq(later_of(keep.access.issued_at)),
                sessions::idle_expires_at.eq(keep.idle_expires_at.as_millis()),
            ))
            .returning(sessions::generation);
        moved(beside_ends!(self.connection, &keep.access.sid, update))
    }
}

/// By the generation of the row that changed.
fn moved(generation: QueryResult<i64>) -> Result<Moved, StoreError> {
    Ok(if generation.optional()?.is_some() { Moved::Yes } else { Moved::LostRace })
}

/// The last is the watermark of the whole authority.
type StandingRow = (SessionRow, ClientRow, Option<UserStandingRow>, Option<i64>);

/// The same with the name of the user.
type ListedRow = (SessionRow, ClientRow, Option<UserStandingRow>, Option<i64>, Option<String>);

/// The part of the gate that is told by client, user and authority. A watermark covers its whole second.
const OTHERS_LET_PASS: &str = "\
    EXISTS ( \
        SELECT 1 FROM clients WHERE clients.id = sessions.client_id AND clients.disabled_at IS NULL \
            AND sessions.created_at / 1000 > COALESCE(clients.watermark_at, -1000) / 1000) \
    AND EXISTS ( \
        SELECT 1 FROM users WHERE users.id = sessions.user_id AND users.disabled_at IS NULL \
            AND sessions.created_at / 1000 > COALESCE(users.watermark_at, -1000) / 1000) \
    AND sessions.created_at / 1000 > COALESCE((SELECT watermark_at FROM authority), -1000) / 1000";

/// When a session was used last. It never goes back: what a clock that was ahead has signed is good until then, and an
/// end has to know.
#[diesel::dsl::auto_type(no_type_alias)]
fn later_of(now: Instant) -> _ {
    let now: i64 = now.as_millis();
    diesel::dsl::case_when(sessions::last_used_at.gt(now), sessions::last_used_at).otherwise(now)
}

/// The gate of [`Standing`] as a condition on `sessions`: what it let pass at `decided_at`, it still has to let pass when that is
/// written.
///
/// Writes stand in line, so whatever is handed out after this was decided before any end that comes later, and the
/// record of that end refuses it. Without this, an access token decided just before an end and signed after it could
/// be younger than the record says.
#[diesel::dsl::auto_type(no_type_alias)]
fn passes_gate(decided_at: Instant) -> _ {
    let decided_at: i64 = decided_at.as_millis();
    let others_let_pass: SqlLiteral<Bool> = sql(OTHERS_LET_PASS);
    sessions::revoked_at
        .is_null()
        .and(sessions::idle_expires_at.gt(decided_at))
        .and(sessions::absolute_expires_at.gt(decided_at))
        .and(others_let_pass)
}

fn standing((session, client, user, watermark): StandingRow) -> Result<Standing, StoreError> {
    Ok(Standing {
        session: session.try_into()?,
        client: client.try_into()?,
        user: user.map(UserStanding::from),
        watermark: Watermark(instant(watermark)),
    })
}

/// A password, a user or a client may change while a sign-in is being hashed.
fn still_allowed(
    user: Option<&User>,
    client: Option<&Client>,
    session: &Session,
    password_version: i64,
) -> bool {
    let user_allows = user.is_some_and(|user| {
        user.disabled_at.is_none()
            && user.password_version == password_version
            && !user.watermark.covers(session.created_at)
    });
    let client_allows = client
        .is_some_and(|client| client.disabled_at.is_none() && !client.watermark.covers(session.created_at));
    user_allows && client_allows
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let of = RowOf { table: "sessions", row: &row.id };
        let previous = row.previous_jti_digest.as_deref();
        Ok(Self {
            scope: of.need("scope", row.scope.parse())?,
            claims: of.need("claims", CustomClaims::parse(&row.claims))?,
            jti_digest: of.digest("jti_digest", &row.jti_digest)?,
            previous_jti_digest: previous.map(|bytes| of.digest("previous_jti_digest", bytes)).transpose()?,
            rotated_by: of.digest("rotated_by", &row.rotated_by)?,
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            client_id: ClientId(row.client_id),
            audience: row.audience,
            auth_time: Instant::from_millis(row.auth_time),
            generation: row.generation,
            rotated_at: Instant::from_millis(row.rotated_at),
            kid: row.kid,
            sealed_successor: row.sealed_successor,
            created_at: Instant::from_millis(row.created_at),
            last_used_at: Instant::from_millis(row.last_used_at),
            idle_expires_at: Instant::from_millis(row.idle_expires_at),
            absolute_expires_at: Instant::from_millis(row.absolute_expires_at),
            revoked_at: instant(row.revoked_at),
        })
    }
}

impl From<&Session> for SessionRow {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.0.clone(),
            user_id: session.user_id.0.clone(),
            client_id: session.client_id.0.clone(),
            scope: session.scope.to_string(),
            audience: session.audience.clone(),
            auth_time: session.auth_time.as_millis(),
            claims: session.claims.to_json(),
            generation: session.generation,
            jti_digest: session.jti_digest.as_bytes().to_vec(),
            previous_jti_digest: session.previous_jti_digest.map(|digest| digest.as_bytes().to_vec()),
            rotated_at: session.rotated_at.as_millis(),
            kid: session.kid.clone(),
            sealed_successor: session.sealed_successor.clone(),
            rotated_by: session.rotated_by.as_bytes().to_vec(),
            created_at: session.created_at.as_millis(),
            last_used_at: session.last_used_at.as_millis(),
            idle_expires_at: session.idle_expires_at.as_millis(),
            absolute_expires_at: session.absolute_expires_at.as_millis(),
            revoked_at: session.revoked_at.map(Instant::as_millis),
        }
    }
}
