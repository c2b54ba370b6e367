//! What is written is what is read; what this program cannot have written is named, not guessed.

use std::time::Duration;

use attesto_core::{
    Actor, AuditEvent, AuditFilter, Authority, AuthorityId, Client, ClientId, ClientKind, Event, Instant,
    KekId, KeyFacts, KeyLedger, KeyRecord, KeyState, KeyTable, KeyUse, Line, PasswordHash, Policy, Reason,
    RecordedEvent, Session, SessionId, SigningAlgorithm, User, UserId, Username, Watermark,
};
use attesto_store::{Added, Changed, ClientSettings, Read, StoreError};

use crate::audit_chain::seal;
use crate::fixture::{
    Database, LINES, LONGEST_ACCESS_LIFETIME, LONGEST_JWKS_LIFETIME, LONGEST_REFRESH_LIFETIME, NOW, RS256,
    STATES, claims, client, digest, event, key, key_change, scope, session, user,
};
use crate::place::Place;
use crate::server::report;

const LATER: Instant = Instant::from_millis(NOW.as_millis() + 1);

#[tokio::test]
async fn users() {
    let database = Database::empty().await;
    let full = User {
        username: Username::new("Grace Höpper").unwrap(),
        password_hash: PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
        password_version: 7,
        claims: claims(r#"{"groups":["a","b"],"is_staff":true,"ratio":0.1}"#),
        disabled_at: Some(NOW),
        watermark: Watermark(Some(LATER)),
        ..user("u-1")
    };
    let bare = User { claims: claims("{}"), ..user("zoe") };
    for written in [full, bare] {
        let copy = written.clone();
        let added = database.write(move |write| write.insert_user(&copy, &event(Event::UserAdded))).await;
        assert_eq!(added, Added::Yes);
        let (id, name) = (written.id.clone(), written.username.clone());
        let [by_id, by_name] = database
            .read(move |read| Ok([read.find_user(&id)?, read.find_user_by_name(name.as_str())?]))
            .await;
        assert_eq!(portrait(&by_id.unwrap()), portrait(&written));
        assert_eq!(portrait(&by_name.unwrap()), portrait(&written));
    }
    for name in ["grace höpper", "Grace Hopper", "Grace Höpper ", "%", ""] {
        let found = database.read(move |read| read.find_user_by_name(name)).await;
        assert!(found.is_none(), "names are compared exactly: {name:?}");
    }
}

#[tokio::test]
async fn clients() {
    let database = Database::empty().await;
    let full = Client {
        kind: ClientKind::Confidential(digest("secret")),
        redirect_uris: vec!["https://a.example/cb?x=\"1\"".to_owned(), "app:/cb".to_owned()],
        audience: "länge".to_owned(),
        scope: scope("a b:c"),
        rotates: false,
        grace_interval: Some(Policy::MAX_GRACE_INTERVAL),
        access_token_algorithm: Some(SigningAlgorithm::Es256),
        refresh_token_algorithm: Some(SigningAlgorithm::Rs256),
        disabled_at: Some(NOW),
        watermark: Watermark(Some(LATER)),
        ..client("full")
    };
    let no_grace = Client { grace_interval: Some(Duration::ZERO), ..client("no-grace") };
    let bare = Client { scope: scope(""), ..client("bare") };
    for written in [full, no_grace, bare] {
        let copy = written.clone();
        let added = database.write(move |write| write.insert_client(&copy, &event(Event::ClientAdded))).await;
        assert_eq!(added, Added::Yes);
        let id = written.id.clone();
        let read = database.read(move |read| read.find_client(&id)).await.unwrap();
        assert_eq!(format!("{read:?}"), format!("{written:?}"));
    }
}

#[tokio::test]
async fn sessions() {
    let database = Database::new().await;
    let full = Session {
        scope: scope("a b"),
        claims: claims(r#"{"role":"y"}"#),
        generation: 5,
        previous_jti_digest: Some(digest("previous")),
        sealed_successor: Some(vec![0, 255, 7]),
        rotated_at: LATER,
        last_used_at: LATER + Duration::from_millis(1),
        idle_expires_at: LATER + Duration::from_millis(2),
        absolute_expires_at: LATER + Duration::from_millis(2),
        ..session("full", NOW)
    };
    for written in [full, session("bare", NOW)] {
        let copy = written.clone();
        database.write(move |write| write.insert_session(&copy, 1, &event(Event::SignedIn))).await;
        assert_eq!(database.session(&written.id.0).await, written);

        let id = written.id.clone();
        database
            .write(move |write| write.revoke_session(&id, Reason::Logout, &event(Event::SessionRevoked)))
            .await;
        let expected = Session { revoked_at: Some(NOW), sealed_successor: None, ..written };
        assert_eq!(database.session(&expected.id.0).await, expected);
    }
}

#[tokio::test]
async fn keys_oldest_first_and_their_ledger() {
    let database = Database::empty().await;
    assert_eq!(database.key_table().await, KeyTable { keys: vec![], ledger: None });
    let kinds = LINES.iter().flat_map(|line| STATES.map(|state| (*line, state)));
    let mut keys: Vec<_> =
        (0_u8..).zip(kinds).map(|(number, (line, state))| full_key(number, line, state)).collect();
    let mut change = key_change(None, keys.iter().rev().cloned().collect());
    change.ledger = KeyLedger {
        version: 7,
        rows: [("kid-00".to_owned(), vec![0, 255]), ("ä\"\\".to_owned(), vec![])].into(),
        compromised: vec!["kid-05".to_owned(), "ä\"\\".to_owned()],
        kek_id: KekId("ff00".to_owned()),
        mac: vec![255, 0],
    };
    let written = KeyTable { keys: keys.clone(), ledger: Some(change.ledger.clone()) };
    assert_eq!(database.change_keys(change, &[]).await.unwrap(), Changed::Yes);
    assert_eq!(database.key_table().await, written);

    // Every column of a row gets its new value, none included.
    for key in &mut keys {
        *key = renewed(key);
    }
    let change = key_change(Some(7), keys.clone());
    let written = KeyTable { keys, ledger: Some(change.ledger.clone()) };
    assert_eq!(database.change_keys(change, &[]).await.unwrap(), Changed::Yes);
    assert_eq!(database.key_table().await, written);
}

#[tokio::test]
async fn the_use_of_keys() {
    let database = Database::empty().await;
    let bounds = KeyFacts {
        uses: [].into(),
        longest_jwks_lifetime: LONGEST_JWKS_LIFETIME,
        longest_access_lifetime: LONGEST_ACCESS_LIFETIME,
        longest_refresh_lifetime: LONGEST_REFRESH_LIFETIME,
        latest_seen_at: None,
    };
    assert_eq!(database.read(|read| read.find_key_facts()).await, bounds);
    database.begin_keys(["a", "b", "c"].map(|kid| key(kid, RS256, KeyState::Staged)).into()).await;
    let uses = [
        ("a".to_owned(), KeyUse { latest_exp: Some(LATER), signatures: 3 }),
        ("b".to_owned(), KeyUse { latest_exp: None, signatures: 0 }),
    ];
    let written = uses.clone();
    database
        .write(move |write| written.iter().try_for_each(|(kid, used)| write.raise_key_use(kid, used)))
        .await;
    let expected = KeyFacts { uses: uses.into(), ..bounds };
    assert_eq!(database.read(|read| read.find_key_facts()).await, expected);
}

#[tokio::test]
async fn the_authority_is_written_once() {
    let place = Place::new();
    let store = attesto_store::Store::create(&place.url()).await.unwrap();
    assert_eq!(store.read(|read| read.find_authority()).await.unwrap(), None);
    let authority = Authority {
        id: AuthorityId("a-1".to_owned()),
        issuer: "https://issuer.example/ä".to_owned(),
        longest_access_lifetime: Duration::from_millis(1),
        longest_refresh_lifetime: Duration::from_millis(2),
        longest_jwks_lifetime: Duration::from_millis(3),
        latest_seen_at: None,
    };
    let other = Authority { id: AuthorityId("a-2".to_owned()), ..authority.clone() };
    let written = authority.clone();
    store.write(move |write| write.insert_authority(&written)).await.unwrap();
    store.write(move |write| write.insert_authority(&other)).await.unwrap_err();
    assert_eq!(store.read(|read| read.find_authority()).await.unwrap(), Some(authority));
}

#[tokio::test]
async fn audit_events_newest_first() {
    let database = Database::empty().await;
    let request = Actor::Request { address: "2001:db8::1".to_owned(), request_id: "r-1".to_owned() };
    let full = AuditEvent::new(Event::SessionRevoked, request, LATER)
        .user(&UserId("ada".to_owned()))
        .client(&ClientId("web".to_owned()))
        .session(&SessionId("s".to_owned()))
        .key("kid-1")
        .because(Reason::Replay);
    let bare = AuditEvent::new(Event::KeyGenerated, Actor::Server, NOW);
    let bare_row = RecordedEvent {
        id: 1,
        at: NOW.as_millis(),
        event: "key_generated".to_owned(),
        actor: "server".to_owned(),
        request_id: None,
        user_id: None,
        client_id: None,
        session_id: None,
        reason: None,
        kid: None,
    };
    let full_row = RecordedEvent {
        id: 3,
        at: LATER.as_millis(),
        event: "session_revoked".to_owned(),
        actor: "address:2001:db8::1".to_owned(),
        request_id: Some("r-1".to_owned()),
        user_id: Some("ada".to_owned()),
        client_id: Some("web".to_owned()),
        session_id: Some("s".to_owned()),
        reason: Some("replay".to_owned()),
        kid: Some("kid-1".to_owned()),
    };
    database
        .write(move |write| {
            [&bare, &event(Event::Initialised), &full].iter().try_for_each(|e| write.record(e))
        })
        .await;
    let events = database.read(|read| read.list_audit_events(&AuditFilter::default(), 10)).await;
    assert_eq!((events.len(), &events[0], &events[2]), (3, &full_row, &bare_row));
    assert_eq!(events[1].actor, "operator:tester");
    assert_eq!(database.read(|read| read.list_audit_events(&AuditFilter::default(), 1)).await, [full_row]);
}

#[tokio::test]
async fn settings_and_claims_change_what_exists() {
    let settings = ClientSettings {
        audience: "other".to_owned(),
        scope: scope("z"),
        rotates: false,
        grace_interval: Some(Duration::from_secs(5)),
    };
    let database = Database::new().await;
    let before = database.contents();
    for (user_id, client_id, exists) in [("nobody", "nowhere", false), ("ada", "web", true)] {
        let settings = settings.clone();
        let changed = database
            .write(move |write| {
                let (user_id, client_id) = (UserId(user_id.to_owned()), ClientId(client_id.to_owned()));
                let claims = claims(r#"{"role":"z"}"#);
                Ok([
                    write.set_claims(&user_id, &claims, &event(Event::ClaimsChanged))?,
                    write.set_client(&client_id, &settings, &event(Event::ClientChanged))?,
                ])
            })
            .await;
        assert_eq!(changed, [exists; 2]);
        assert_eq!(database.contents() == before, !exists);
    }
    let (ada, web) = database
        .read(|read| {
            Ok((read.find_user(&user("ada").id)?.unwrap(), read.find_client(&client("web").id)?.unwrap()))
        })
        .await;
    assert_eq!(portrait(&ada), portrait(&User { claims: claims(r#"{"role":"z"}"#), ..user("ada") }));
    let ClientSettings { audience, scope, rotates, grace_interval } = settings;
    let expected = Client { audience, scope, rotates, grace_interval, ..client("web") };
    assert_eq!(format!("{web:?}"), format!("{expected:?}"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    type List = fn(&mut Read<'_>, &str) -> Result<Vec<String>, StoreError>;
    let table: [(&str, List, &[&str]); 4] = [
        (
            "users",
            |read, after| names(read.list_users(after, 2), |user| user.username.to_string()),
            &["ada", "bob", "cy", "dan"],
        ),
        (
            "clients",
            |read, after| names(read.list_clients(after, 2), |client| client.id.0),
            &["bob", "cy", "dan", "web"],
        ),
        (
            "all sessions",
            |read, after| names(read.list_sessions(None, after, 2, NOW), |listed| listed.session.id.0),
            &["s1", "s2", "s3", "t1"],
        ),
        (
            "sessions of one user",
            |read, after| {
                let ada = user("ada").id;
                names(read.list_sessions(Some(&ada), after, 2, NOW), |listed| listed.session.id.0)
            },
            &["s1", "s2", "s3"],
        ),
    ];
    let database = Database::new().await;
    database
        .write(|write| {
            ["dan", "bob", "cy"].iter().try_for_each(|id| {
                write.insert_client(&client(id), &event(Event::ClientAdded))?;
                write.insert_user(&user(id), &event(Event::UserAdded)).map(drop)
            })
        })
        .await;
    for (id, user_id) in [("s3", "ada"), ("t1", "bob"), ("s1", "ada"), ("s2", "ada")] {
        let session = Session { user_id: user(user_id).id, ..session(id, NOW) };
        database.write(move |write| write.insert_session(&session, 1, &event(Event::SignedIn))).await;
    }
    for (what, list, expected) in table {
        let mut seen: Vec<String> = vec![];
        loop {
            let after = seen.last().cloned().unwrap_or_default();
            let page = database.read(move |read| list(read, &after)).await;
            assert!(page.len() <= 2, "{what}");
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, expected, "{what}");
    }
}

#[tokio::test]
async fn a_list_of_sessions_says_which_the_gate_would_pass() {
    let database = Database::new().await;
    for id in ["s1", "s2"] {
        database.begin(id).await;
    }
    let database = &database;
    let list = |now| async move {
        let sessions = database.read(move |read| read.list_sessions(None, "", 10, now)).await;
        sessions.into_iter().map(|listed| (listed.username, listed.is_live)).collect::<Vec<_>>()
    };
    let ada = Some("ada".to_owned());
    assert_eq!(list(NOW).await, [(ada.clone(), true), (ada.clone(), true)]);
    let s1 = session("s1", NOW);
    let idle_end = s1.idle_expires_at;
    database
        .write(move |write| write.revoke_session(&s1.id, Reason::Operator, &event(Event::SessionRevoked)))
        .await;
    assert_eq!(list(NOW).await, [(ada.clone(), false), (ada.clone(), true)]);
    assert_eq!(list(idle_end).await, [(ada.clone(), false), (ada, false)]);
    database.write(|write| write.delete_user(&user("ada").id, &event(Event::UserDeleted))).await;
    assert_eq!(list(NOW).await, [(None, false), (None, false)]);
}

#[tokio::test]
async fn an_impossible_value_is_named_by_table_column_and_row() {
    type Find = fn(&mut Read<'_>) -> Result<(), StoreError>;
    let user_row: Find = |read| read.find_user(&user("ada").id).map(drop);
    let client_row: Find = |read| read.find_client(&client("web").id).map(drop);
    let session_row: Find = |read| read.find_standing(&SessionId("s".to_owned())).map(drop);
    let key_row: Find = |read| read.find_key_table().map(drop);
    let server_row: Find = |read| read.list_servers().map(drop);
    let authority_row: Find = |read| read.find_authority().map(drop);
    let table = [
        ("users", "username", "' ada'", "ada", user_row),
        ("users", "claims", "'[]'", "ada", user_row),
        ("users", "claims", "'{\"sub\":\"root\"}'", "ada", user_row),
        ("clients", "secret_digest", "x'00'", "web", client_row),
        ("clients", "redirect_uris", "'https://a.example'", "web", client_row),
        ("clients", "redirect_uris", "'[1]'", "web", client_row),
        ("clients", "scope", "'a  b'", "web", client_row),
        ("clients", "grace_interval", "-1", "web", client_row),
        ("clients", "access_token_algorithm", "'none'", "web", client_row),
        ("clients", "access_token_algorithm", "'PS256'", "web", client_row),
        ("clients", "refresh_token_algorithm", "'EdDSA'", "web", client_row),
        ("clients", "refresh_token_algorithm", "'rs256'", "web", client_row),
        ("sessions", "scope", "' '", "s", session_row),
        ("sessions", "claims", "'x'", "s", session_row),
        ("sessions", "jti_digest", "x''", "s", session_row),
        ("sessions", "previous_jti_digest", "zeroblob(31)", "s", session_row),
        ("sessions", "rotated_by", "zeroblob(33)", "s", session_row),
        // A standing is several rows, and each is named as itself.
        ("clients", "scope", "'\"'", "web", session_row),
        ("keys", "algorithm", "'PS256'", "k", key_row),
        ("keys", "algorithm", "'es256'", "k", key_row),
        ("keys", "purpose", "'Token'", "k", key_row),
        ("keys", "state", "'living'", "k", key_row),
        ("key_ledger", "rows", "'k'", "1", key_row),
        ("key_ledger", "rows", "'[\"k\"]'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":1}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"0\"}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"000\"}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"0g\"}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"+1\"}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"FF\"}'", "1", key_row),
        ("key_ledger", "rows", "'{\"k\":\"é\"}'", "1", key_row),
        ("key_ledger", "compromised", "'k'", "1", key_row),
        ("key_ledger", "compromised", "'{\"k\":\"k\"}'", "1", key_row),
        ("key_ledger", "compromised", "'[null]'", "1", key_row),
        ("servers", "kek_ids", "'00ff'", "srv", server_row),
        ("servers", "confirmed_kids", "'[1]'", "srv", server_row),
        ("authority", "longest_access_lifetime", "-1", "1", authority_row),
        ("authority", "longest_refresh_lifetime", "-1", "1", authority_row),
        ("authority", "longest_jwks_lifetime", "-1", "1", authority_row),
    ];
    for (name, column, value, row, find) in table {
        let database = Database::new().await;
        database.begin("s").await;
        database.begin_keys(vec![key("k", RS256, KeyState::Active)]).await;
        database.write(|write| write.put_server(&report("srv", NOW))).await;
        seal(&database).await;
        database.store.read(find).await.unwrap();
        database.tamper(&format!("UPDATE {name} SET {column} = {value}"));
        let Err(StoreError::Inconsistent { table, column: found, row: of }) = database.store.read(find).await
        else {
            panic!("{name}.{column} = {value} was read");
        };
        assert_eq!((table, found, of.as_str()), (name, column, row), "{value}");
    }
}

fn names<T>(page: Result<Vec<T>, StoreError>, name: impl Fn(T) -> String) -> Result<Vec<String>, StoreError> {
    Ok(page?.into_iter().map(name).collect())
}

/// A key with every second optional column set, by its number. Two at a time are of the same age.
fn full_key(number: u8, line: Line, state: KeyState) -> KeyRecord {
    let at =
        |place: u8| (number + place).is_multiple_of(2).then(|| NOW + Duration::from_millis(place.into()));
    KeyRecord {
        public_jwk: format!(r#"{{"kid":"{number}"}}"#),
        sealed_private_key: at(0).map(|_| vec![0, number, 255]),
        created_at: NOW + Duration::from_millis((number / 2).into()),
        published_at: at(1),
        active_at: at(2),
        demoted_at: at(3),
        retired_at: at(4),
        destroyed_at: at(5),
        compromised_at: at(6),
        mac: vec![number; 32],
        ..key(&format!("kid-{number:02}"), line, state)
    }
}

/// The same key with another value wherever there can be one.
fn renewed(key: &KeyRecord) -> KeyRecord {
    let other = |at: Option<Instant>| if at.is_none() { Some(LATER) } else { None };
    KeyRecord {
        kid: key.kid.clone(),
        algorithm: key.algorithm,
        purpose: key.purpose,
        state: KeyState::Retired,
        public_jwk: format!("[{}]", key.public_jwk),
        sealed_private_key: if key.sealed_private_key.is_none() { Some(vec![9]) } else { None },
        kek_id: KekId("0000".to_owned()),
        authority_id: AuthorityId("a-other".to_owned()),
        created_at: key.created_at + Duration::from_secs(1),
        published_at: other(key.published_at),
        active_at: other(key.active_at),
        demoted_at: other(key.demoted_at),
        retired_at: other(key.retired_at),
        destroyed_at: other(key.destroyed_at),
        compromised_at: other(key.compromised_at),
        mac: vec![],
    }
}

/// Everything of a user; a new field has to be added here. Neither the user nor its password hash can be printed.
fn portrait(user: &User) -> String {
    let User { id, username, password_hash, password_version, claims, disabled_at, watermark, created_at } =
        user;
    let hash = password_hash.expose();
    format!("{:?}", (id, username, hash, password_version, claims, disabled_at, watermark, created_at))
}
