//! One database per test, with little in it, and its contents as text.

use std::time::Duration;

use attesto_core::{
    AccessGrant, Actor, AuditEvent, Authority, AuthorityId, Client, ClientId, ClientKind, CustomClaims,
    Digest, Event, Instant, Jti, Keep, KekId, KeyChange, KeyLedger, KeyRecord, KeyState, KeyTable, Line,
    PasswordHash, Policy, Purpose, Rotation, Scope, Session, SessionId, SigningAlgorithm, User, UserId,
    Username, Watermark,
};
use attesto_store::{Changed, DatabaseUrl, Read, Store, StoreError, Write};
use diesel::result::Error;

use crate::place::Place;

/// When everything happens: not on a whole second, so that rounding shows.
pub(crate) const NOW: Instant = Instant::from_millis(1_700_000_000_400);

pub(crate) const LONGEST_ACCESS_LIFETIME: Duration = Duration::from_secs(600);
pub(crate) const LONGEST_REFRESH_LIFETIME: Duration = Duration::from_secs(3600);
pub(crate) const LONGEST_JWKS_LIFETIME: Duration = Duration::from_secs(1200);

/// Every line of keys that there can be.
pub(crate) const LINES: [Line; 4] = [
    RS256,
    Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Es256 },
    Line { purpose: Purpose::Feed, algorithm: SigningAlgorithm::Rs256 },
    Line { purpose: Purpose::Feed, algorithm: SigningAlgorithm::Es256 },
];
pub(crate) const STATES: [KeyState; 6] = [
    KeyState::Staged,
    KeyState::Active,
    KeyState::Retiring,
    KeyState::Retired,
    KeyState::Destroyed,
    KeyState::Compromised,
];
pub(crate) const RS256: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Rs256 };

pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) url: DatabaseUrl,
    pub(crate) place: Place,
}

impl Database {
    /// A new database that knows its authority and nothing else.
    pub(crate) async fn empty() -> Self {
        Self::empty_at(Place::new()).await
    }

    async fn empty_at(place: Place) -> Self {
        let url = place.url();
        let store = Store::create(&url).await.unwrap();
        let database = Self { store, url, place };
        let authority = Authority {
            id: AuthorityId("a-test".to_owned()),
            issuer: "https://issuer.example".to_owned(),
            longest_access_lifetime: LONGEST_ACCESS_LIFETIME,
            longest_refresh_lifetime: LONGEST_REFRESH_LIFETIME,
            longest_jwks_lifetime: LONGEST_JWKS_LIFETIME,
            latest_seen_at: None,
        };
        database.write(move |write| write.insert_authority(&authority)).await;
        database
    }

    /// A database with the user `ada` and the client `web`.
    pub(crate) async fn new() -> Self {
        Self::at(Place::new()).await
    }

    /// The same in a certain place.
    pub(crate) async fn at(place: Place) -> Self {
        let database = Self::empty_at(place).await;
        database
            .write(|write| {
                write.insert_client(&client("web"), &event(Event::ClientAdded))?;
                write.insert_user(&user("ada"), &event(Event::UserAdded))
            })
            .await;
        database
    }

    /// Begins a session of `ada` at `web`.
    pub(crate) async fn begin(&self, id: &str) -> Session {
        let session = session(id, NOW);
        let begun = session.clone();
        self.write(move |write| write.insert_session(&begun, 1, &event(Event::SignedIn))).await;
        session
    }

    /// Writes the first keys and their ledger; gives them as they are stored.
    pub(crate) async fn begin_keys(&self, rows: Vec<KeyRecord>) -> KeyTable {
        assert_eq!(self.change_keys(key_change(None, rows), &[]).await.unwrap(), Changed::Yes);
        self.key_table().await
    }

    pub(crate) async fn change_keys(
        &self,
        change: KeyChange,
        events: &[AuditEvent],
    ) -> Result<Changed, StoreError> {
        let events = events.to_vec();
        self.store.write(move |write| write.change_keys(&change, &events)).await
    }

    pub(crate) async fn key_table(&self) -> KeyTable {
        self.read(|read| read.find_key_table()).await
    }

    pub(crate) async fn write<T, F>(&self, changes: F) -> T
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.store.write(changes).await.unwrap()
    }

    pub(crate) async fn read<T, F>(&self, queries: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.store.read(queries).await.unwrap()
    }

    /// The session as it is stored.
    pub(crate) async fn session(&self, id: &str) -> Session {
        let id = SessionId(id.to_owned());
        self.read(move |read| read.find_standing(&id)).await.unwrap().session
    }

    /// Changes it behind the store's back, constraints or not.
    pub(crate) fn tamper(&self, sql: &str) {
        self.place.tamper(sql);
    }

    /// Has commits of the feed's records take their time.
    pub(crate) fn delay_records(&self) {
        self.place.delay_records();
    }

    /// The rows of a table: `column=literal` for each column.
    pub(crate) fn rows(&self, table: &str) -> Vec<String> {
        self.place.rows(table)
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        self.place.tables()
    }

    /// Every row of every table.
    pub(crate) fn contents(&self) -> Vec<String> {
        let rows = |table: String| {
            let rows = self.rows(&table).into_iter();
            rows.map(move |row| format!("{table}: {row}"))
        };
        self.tables().into_iter().flat_map(rows).collect()
    }
}

/// What is in `after` and was not in `before`.
pub(crate) fn added(before: &[String], after: &[String]) -> Vec<String> {
    after.iter().filter(|row| !before.contains(row)).cloned().collect()
}

pub(crate) fn event(event: Event) -> AuditEvent {
    AuditEvent::new(event, Actor::Operator("tester".to_owned()), NOW)
}

pub(crate) fn user(id: &str) -> User {
    User {
        id: UserId(id.to_owned()),
        username: Username::new(id).unwrap(),
        password_hash: PasswordHash::new("$argon2id$".to_owned()),
        password_version: 1,
        claims: claims(r#"{"role":"x"}"#),
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: NOW,
    }
}

pub(crate) fn client(id: &str) -> Client {
    Client {
        id: ClientId(id.to_owned()),
        kind: ClientKind::Public,
        redirect_uris: vec![],
        audience: "shop".to_owned(),
        scope: scope("read write"),
        rotates: true,
        grace_interval: None,
        access_token_algorithm: None,
        refresh_token_algorithm: None,
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: NOW,
    }
}

/// A session of `ada` at `web` that is decided at `at`.
pub(crate) fn session(id: &str, at: Instant) -> Session {
    user("ada")
        .open_session(&client("web"), SessionId(id.to_owned()), &Policy::default(), at)
        .unwrap()
        .signed(digest("first"), "kid-1".to_owned(), digest("browser"))
}

/// A move from generation `from`, told apart from others by the secret of the successor.
pub(crate) fn rotation(sid: &str, from: i64, successor: &str) -> Rotation {
    Rotation {
        sid: SessionId(sid.to_owned()),
        from,
        jti_digest: digest(successor),
        previous_jti_digest: digest("presented"),
        rotated_at: NOW + Duration::from_secs(1),
        kid: "kid-2".to_owned(),
        sealed_successor: successor.as_bytes().to_vec(),
        rotated_by: digest("elsewhere"),
        idle_expires_at: NOW + Duration::from_secs(100),
    }
}

/// A use of a token of `session` that stays.
pub(crate) fn keep(session: &Session, generation: i64) -> Keep {
    let access = AccessGrant {
        user_id: session.user_id.clone(),
        client_id: session.client_id.clone(),
        sid: session.id.clone(),
        audience: session.audience.clone(),
        scope: session.scope.clone(),
        algorithm: SigningAlgorithm::Rs256,
        auth_time: session.auth_time,
        claims: session.claims.clone(),
        issued_at: NOW + Duration::from_secs(2),
        expires_at: NOW + LONGEST_ACCESS_LIFETIME,
    };
    Keep { access, generation, idle_expires_at: NOW + Duration::from_secs(200) }
}

/// A key as the store knows one: nobody here opens it or checks its MAC.
pub(crate) fn key(kid: &str, line: Line, state: KeyState) -> KeyRecord {
    KeyRecord {
        kid: kid.to_owned(),
        algorithm: line.algorithm,
        purpose: line.purpose,
        state,
        public_jwk: "{}".to_owned(),
        sealed_private_key: Some(vec![0, 255]),
        kek_id: KekId("00ff".to_owned()),
        authority_id: AuthorityId("a-test".to_owned()),
        created_at: NOW,
        published_at: Some(NOW),
        active_at: None,
        demoted_at: None,
        retired_at: None,
        destroyed_at: None,
        compromised_at: None,
        mac: format!("{kid} is {}", state.as_str()).into_bytes(),
    }
}

/// A change that writes `rows`, and a ledger over them alone.
pub(crate) fn key_change(from: Option<i64>, rows: Vec<KeyRecord>) -> KeyChange {
    let ledger = KeyLedger {
        version: from.unwrap_or(0) + 1,
        rows: rows.iter().map(|row| (row.kid.clone(), row.mac.clone())).collect(),
        compromised: vec![],
        kek_id: KekId("00ff".to_owned()),
        mac: vec![7; 32],
    };
    KeyChange { from, ledger, rows, revocation: None, used: None }
}

/// Which kind of constraint the database saw violated.
pub(crate) fn violation(refused: &StoreError) -> String {
    match refused {
        StoreError::Database(Error::DatabaseError(kind, _)) => format!("{kind:?}"),
        other => panic!("{other}"),
    }
}

pub(crate) fn digest(secret: &str) -> Digest {
    Jti::new(secret.to_owned()).digest()
}

pub(crate) fn claims(json: &str) -> CustomClaims {
    CustomClaims::parse(json).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}
