//! What the schema itself refuses, whoever writes.

use std::time::Duration;

use attesto_core::{Client, Event, KeyState, Policy, Session, User, UserId};
use attesto_store::{Added, StoreError, Write};

use crate::fixture::{
    Database, LINES, NOW, STATES, client, event, key, key_change, rotation, session, user, violation,
};

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test]
async fn one_key_is_active_for_each_purpose_and_algorithm() {
    for line in LINES {
        let database = Database::empty().await;
        database.begin_keys(vec![key("k1", line, KeyState::Active)]).await;
        let before = database.contents();
        for (other, state) in LINES.iter().flat_map(|other| STATES.map(|state| (*other, state))) {
            let second = key_change(Some(1), vec![key("k2", other, state)]);
            let added = database.store.write(move |write| {
                write.change_keys(&second, &[])?;
                Err::<(), _>(StoreError::Overloaded)
            });
            let is_second = line == other && state == KeyState::Active;
            match added.await.unwrap_err() {
                StoreError::Overloaded => assert!(!is_second, "{line}"),
                refused => {
                    assert_eq!(
                        (violation(&refused).as_str(), is_second),
                        ("UniqueViolation", true),
                        "{line}"
                    );
                }
            }
        }
        assert_eq!(database.contents(), before);
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
            write.change().rotate_session(&rotation).map(drop)
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
        assert_eq!(violation(&refused), "CheckViolation", "{what}");
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
