//! A write happens as a whole or not at all, and one that fails does not disturb the next.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use attesto_core::{Event, PasswordHash, Reason, SessionId, User, UserId};
use attesto_store::{StoreError, Write};

use crate::fixture::{Database, NOW, event, session, user};

#[tokio::test]
async fn a_closure_that_fails_leaves_nothing_behind() {
    let database = Database::new().await;
    database.begin("s").await;
    let before = database.contents();

    let failed = database.store.write(|write| {
        change_everything(write)?;
        Err::<(), _>(StoreError::Overloaded)
    });
    assert!(matches!(failed.await, Err(StoreError::Overloaded)));
    assert_eq!(database.contents(), before);

    // The database's own refusal in the middle ends the same way.
    let failed = database.store.write(|write| {
        change_everything(write)?;
        let mut impossible = session("t", NOW);
        impossible.user_id = UserId("eve".to_owned());
        impossible.idle_expires_at = impossible.absolute_expires_at + Duration::from_millis(1);
        write.insert_user(&user("eve"), &event(Event::UserAdded))?;
        write.insert_session(&impossible, 1, &event(Event::SignedIn))
    });
    assert!(matches!(failed.await, Err(StoreError::Database(_))));
    assert_eq!(database.contents(), before);
    still_works(&database).await;
}

#[tokio::test]
async fn a_closure_that_panics_is_abandoned() {
    let database = Database::new().await;
    database.begin("s").await;
    let before = database.contents();
    for _ in 0..3 {
        let abandoned = database.store.write(|write| -> Result<(), _> {
            change_everything(write)?;
            panic!("on purpose")
        });
        assert!(matches!(abandoned.await, Err(StoreError::Abandoned)));
        assert_eq!(database.contents(), before);
    }
    let abandoned = database.store.read(|_| -> Result<(), _> { panic!("on purpose") });
    assert!(matches!(abandoned.await, Err(StoreError::Abandoned)));
    still_works(&database).await;
}

#[tokio::test]
async fn a_read_sees_one_state_and_waits_for_no_write() {
    let database = Database::new().await;
    let (begun, wait_for_read) = channel();
    let (done, wait_for_write) = channel();
    let wait_for_read = Mutex::new(wait_for_read);
    let version = |user: Option<User>| user.map(|user| user.password_version);

    let reading = database.store.read(move |read| {
        let before = version(read.find_user(&ada())?);
        begun.send(()).unwrap();
        wait(&wait_for_write);
        Ok((before, version(read.find_user(&ada())?)))
    });
    let writing = async {
        let written = database.store.write(move |write| {
            wait(&wait_for_read.lock().unwrap());
            change_everything(write)
        });
        written.await.unwrap();
        done.send(()).unwrap();
    };
    let (seen, ()) = tokio::join!(reading, writing);
    assert_eq!(seen.unwrap(), (Some(1), Some(1)));
    assert_eq!(version(database.read(|read| read.find_user(&ada())).await), Some(2));
}

pub(crate) fn wait(signal: &Receiver<()>) {
    signal.recv().unwrap();
}

/// Touches users, sessions, feed, counter and audit.
fn change_everything(write: &mut Write<'_>) -> Result<(), StoreError> {
    write.revoke_session(&SessionId("s".to_owned()), Reason::Operator, &event(Event::SessionRevoked))?;
    write.set_password(&ada(), &PasswordHash::new("other".to_owned()), &event(Event::PasswordChanged))?;
    write.insert_user(&user("bob"), &event(Event::UserAdded)).map(drop)
}

/// What failed left no gap in the feed.
pub(crate) async fn still_works(database: &Database) {
    database.write(change_everything).await;
    let records = database.read(|read| read.list_revocations(0, 10)).await;
    assert!(records.iter().map(|record| record.seq).eq(1..=i64::try_from(records.len()).unwrap()));
    assert!(!records.is_empty());
}

fn ada() -> UserId {
    UserId("ada".to_owned())
}
