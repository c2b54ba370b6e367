//! What the schema itself refuses, whoever writes.

use std::time::Duration;

use attesto_core::{
    AuthorityId, Client, Event, KekId, KeyRecord, KeyState, Policy, Purpose, Session, User, UserId,
};
use attesto_store::{Added, StoreError, Write};
use diesel::result::Error;

use crate::fixture::{Database, NOW, client, event, rotation, session, user};

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test]
async fn one_key_is_active_for_each_purpose_and_algorithm() {
    let table = [
        ("another active one", Purpose::Token, "RS256", KeyState::Active, false),
        ("a staged one", Purpose::Token, "RS256", KeyState::Staged, true),
        ("a retiring one", Purpose::Token, "RS256", KeyState::Retiring, true),
        ("another algorithm", Purpose::Token, "ES256", KeyState::Active, true),
        ("another purpose", Purpose::Feed, "RS256", KeyState::Active, true),
    ];
    for (what, purpose, algorithm, state, is_taken) in table {
        let database = Database::empty().await;
        database.write(|write| write.insert_key(&key("k1", Purpose::Token, "RS256", KeyState::Active))).await;
        let before = database.contents();
        let second = key("k2", purpose, algorithm, state);
        let added = database.store.write(move |write| write.insert_key(&second)).await;
        assert_eq!(added.is_ok(), is_taken, "{what}: {added:?}");
        if let Err(refused) = added {
            assert_eq!(kind(&refused), "UniqueViolation", "{what}");
            assert_eq!(database.contents(), before);
        }
    }
}

#[tokio::test]
async fn rows_that_contradict_themselves_are_refused() {
    type Change = fn(&mut Write<'_>) -> Result<(), StoreError>;
    let table: [(&str, Change); 4] = [
        ("a session idle after its absolute end", |write| {
            let session = session("t", NOW);
            let idle_expires_at = session.absolute_expires_at + MILLISECOND;
            begin(write, &Session { idle_expires_at, ..session })
        }),
        ("a rotation past the absolute end", |write| {
            let mut rotation = rotation("s", 1, "next");
            rotation.idle_expires_at = session("s", NOW).absolute_expires_at + MILLISECOND;
            write.rotate_session(&rotation).map(drop)
        }),
        ("a generation before the first", |write| {
            begin(write, &Session { generation: 0, ..session("t", NOW) })
        }),
        ("a grace over two minutes", |write| {
            let grace_interval = Some(Policy::MAX_GRACE_INTERVAL + MILLISECOND);
            let client = Client { grace_interval, ..client("app") };
            write.insert_client(&client, &event(Event::ClientAdded)).map(drop)
        }),
    ];
    let database = Database::new().await;
    database.begin("s").await;
    let before = database.contents();
    for (what, change) in table {
        let refused = database.store.write(change).await.expect_err(what);
        assert_eq!(kind(&refused), "CheckViolation", "{what}");
        assert_eq!(database.contents(), before, "{what}");
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let database = Database::new().await;
    let before = database.contents();
    let same_name = User { id: UserId("u-2".to_owned()), password_version: 9, ..user("ada") };
    let same_id = Client { audience: "other".to_owned(), ..client("web") };
    let added = database
        .write(move |write| {
            Ok([
                write.insert_user(&same_name, &event(Event::UserAdded))?,
                write.insert_client(&same_id, &event(Event::ClientAdded))?,
            ])
        })
        .await;
    assert_eq!(added, [Added::NameTaken; 2]);
    assert_eq!(database.contents(), before);
}

fn begin(write: &mut Write<'_>, session: &Session) -> Result<(), StoreError> {
    write.insert_session(session, 1, &event(Event::SignedIn)).map(drop)
}

fn kind(refused: &StoreError) -> String {
    match refused {
        StoreError::Database(Error::DatabaseError(kind, _)) => format!("{kind:?}"),
        other => panic!("{other}"),
    }
}

fn key(kid: &str, purpose: Purpose, algorithm: &str, state: KeyState) -> KeyRecord {
    KeyRecord {
        kid: kid.to_owned(),
        algorithm: algorithm.to_owned(),
        purpose,
        state,
        public_jwk: "{}".to_owned(),
        sealed_private_key: None,
        kek_id: KekId("00ff".to_owned()),
        authority_id: AuthorityId("a-test".to_owned()),
        created_at: NOW,
        published_at: None,
        active_at: None,
        demoted_at: None,
        retired_at: None,
        destroyed_at: None,
        compromised_at: None,
        mac: vec![],
    }
}
