//! Users and sessions by the million, written beside the store.
//!
//! Each row is a copy of one that a server wrote, for a user who signed in and refreshed once. Only identifiers and instants
//! are its own: the secret of the refresh token is the same in all, so that the bench holds a token for any of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use attesto_core::Instant;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};

use crate::authority::CHEAPLY_HASHED;
use crate::{Outcome, progress};

/// Nothing of a half-filled database is kept, so nothing has to be undone or on the disk before the end.
const UNPROTECTED: &str = "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -500000;";

/// As other programs wait for the server, and it for them.
const PATIENT: &str = "PRAGMA busy_timeout = 5000;";

/// For others to close the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// What rows are copied from.
const MODELS: &str = "PRAGMA temp_store = MEMORY; \
     CREATE TEMP TABLE model_user AS SELECT * FROM main.users WHERE username = ";

/// Rows of one statement: as many as it takes to see that it goes on.
const CHUNK: usize = 250_000;

/// The same beside a server, which waits meanwhile.
const SMALL_CHUNK: usize = 2_000;

/// Somebody signs in on two devices.
const SESSIONS_PER_USER: usize = 2;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions were used last within so many days. They end after seven: none does within a run.
const USED_WITHIN: u32 = 6;

/// And began within so many days before, of the thirty for which they may live.
const BEGAN_WITHIN: u32 = 22;

/// Then all of a set have ended for at least two days.
const LONG_AGO: u32 = USED_WITHIN + 3;

/// Writes into a database, and looks at what is there.
pub struct Rows {
    connection: SqliteConnection,
    file: PathBuf,
}

/// A session, and whose it is.
#[derive(QueryableByName)]
pub struct Held {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Text)]
    pub user_id: String,
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl Rows {
    /// Opens a database that nobody else has open, or soon nobody: a store leaves by and by.
    pub fn alone(file: &Path) -> Outcome<Self> {
        let mut rows = Self::open(file, UNPROTECTED)?;
        let begun_at = std::time::Instant::now();
        while !rows.leave_journal() {
            if begun_at.elapsed() > PATIENCE {
                return Err(format!("{} is open elsewhere", file.display()).into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(rows)
    }

    /// Opens a database beside its server.
    pub fn beside_server(file: &Path) -> Outcome<Self> {
        Self::open(file, PATIENT)
    }

    fn open(file: &Path, pragmas: &str) -> Outcome<Self> {
        let mut connection = SqliteConnection::establish(&file.to_string_lossy())?;
        connection.batch_execute(&format!(
            "{pragmas} {MODELS} '{CHEAPLY_HASHED}'; \
             CREATE TEMP TABLE model_session AS SELECT * FROM main.sessions \
             WHERE user_id = (SELECT id FROM model_user);"
        ))?;
        Ok(Self { connection, file: file.to_owned() })
    }

    /// Adds live sessions up to a number, and users for them. Gives by how much the sessions let the file grow.
    pub fn fill(&mut self, from: usize, to: usize, now: Instant) -> Outcome<usize> {
        progress(&format!("soak: {} users", users_of(to)));
        self.insert_users(users_of(from) + 1, users_of(to))?;
        let before = bytes(&self.file);
        self.transaction(|rows| {
            for done in (from..to).step_by(CHUNK) {
                progress(&format!("soak: {done} of {to} sessions"));
                rows.insert_sessions(CHUNK.min(to - done), to, now)?;
            }
            Ok(())
        })?;
        // What the system writes to the disk later would be measured as well.
        File::open(&self.file)?.sync_all()?;
        Ok(bytes(&self.file) - before)
    }

    /// Adds sessions that ended long ago, of the users of so many live ones.
    pub fn add_expired(&mut self, count: usize, live: usize, now: Instant) -> Outcome<()> {
        self.transaction(|rows| rows.insert_sessions(count, live, now - LONG_AGO * DAY))
    }

    /// The same while a server runs: a little at a time.
    pub fn add_expired_gently(&mut self, count: usize, live: usize, now: Instant) -> Outcome<()> {
        for done in (0..count).step_by(SMALL_CHUNK) {
            self.insert_sessions(SMALL_CHUNK.min(count - done), live, now - LONG_AGO * DAY)?;
        }
        Ok(())
    }

    /// So many sessions, each as likely as any other that was not refreshed since it was written: of those that were, only
    /// who refreshed them has the token.
    pub fn draw(&mut self, count: usize) -> Outcome<Vec<Held>> {
        let drawn = sql_query(
            "SELECT id, user_id FROM sessions WHERE generation = (SELECT generation FROM model_session) \
             AND user_id <> (SELECT id FROM model_user) ORDER BY random() LIMIT ?",
        );
        Ok(drawn.bind::<BigInt, _>(i64::try_from(count)?).load(&mut self.connection)?)
    }

    /// When the session ends that ends first.
    pub fn first_end(&mut self) -> Outcome<Instant> {
        let end: Number = sql_query("SELECT min(idle_expires_at) AS number FROM sessions")
            .get_result(&mut self.connection)?;
        Ok(Instant::from_millis(end.number))
    }

    fn leave_journal(&mut self) -> bool {
        let mode = sql_query("PRAGMA journal_mode = OFF").get_result(&mut self.connection);
        mode.is_ok_and(|mode: JournalMode| mode.journal_mode == "off")
    }

    fn transaction(&mut self, work: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<()> {
        self.connection.batch_execute("BEGIN")?;
        work(self)?;
        Ok(self.connection.batch_execute("COMMIT")?)
    }

    fn insert_users(&mut self, first: usize, last: usize) -> Outcome<()> {
        if first > last {
            return Ok(());
        }
        let user_id = user_id("n");
        Ok(self.connection.batch_execute(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) \
             INSERT INTO users (id, username, password_hash, password_version, claims, created_at) \
             SELECT {user_id}, printf('user%d', n), password_hash, password_version, claims, created_at \
             FROM model_user CROSS JOIN numbers"
        ))?)
    }

    /// Their users are drawn from those of so many live sessions.
    fn insert_sessions(&mut self, count: usize, live: usize, now: Instant) -> Outcome<()> {
        let users = users_of(live);
        let (now, day) = (now.as_millis(), DAY.as_millis());
        let user_id = user_id("holder");
        let drawn = format!(
            "abs(random()) % ({USED_WITHIN} * {day}), abs(random()) % ({BEGAN_WITHIN} * {day}), \
             1 + abs(random()) % {users}"
        );
        let (used_at, began_at) = (format!("{now} - idle"), format!("{now} - idle - older"));
        Ok(self.connection.batch_execute(&format!(
            "WITH RECURSIVE drawn (n, idle, older, holder) AS (\
                 SELECT 1, {drawn} UNION ALL SELECT n + 1, {drawn} FROM drawn WHERE n < {count}) \
             INSERT INTO sessions (id, user_id, client_id, scope, audience, auth_time, claims, generation, jti_digest, \
                 previous_jti_digest, rotated_at, kid, sealed_successor, rotated_by, created_at, last_used_at, \
                 idle_expires_at, absolute_expires_at) \
             SELECT lower(hex(randomblob(16))), {user_id}, client_id, scope, audience, {began_at}, claims, generation, \
                 jti_digest, previous_jti_digest, {used_at}, kid, sealed_successor, rotated_by, {began_at}, {used_at}, \
                 {used_at} + 7 * {day}, {began_at} + 30 * {day} \
             FROM model_session CROSS JOIN drawn"
        ))?)
    }
}

/// What a database takes on the disk, its write-ahead log included.
pub fn bytes(file: &Path) -> usize {
    length(file) + log_bytes(file)
}

pub fn log_bytes(file: &Path) -> usize {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    length(Path::new(&log))
}

fn length(file: &Path) -> usize {
    fs::metadata(file).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX))
}

fn users_of(sessions: usize) -> usize {
    sessions / SESSIONS_PER_USER
}

/// As long as those that are drawn, and ascending like them.
fn user_id(number: &str) -> String {
    format!("printf('0199f0a4-7c5e-7d3a-9c1b-%012x', {number})")
}
