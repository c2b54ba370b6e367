//! A sign-in is decided, then hashed and signed, then written: what was committed in between decides.

use std::time::Duration;

use attesto_core::{AuditEvent, ClientId, Event, Instant, PasswordHash, Policy, UserId};
use attesto_store::{Added, Began, Store, StoreError, Write};

use crate::fixture::{Database, NOW, client, digest, event, session, user};

/// What another connection commits, at an instant of its own clock.
type Change = fn(&mut Write<'_>, Instant) -> Result<(), StoreError>;

const LATER: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_changed_since_the_decision_stops_a_sign_in() {
    let ended_by_state: [(&str, Change); 4] = [
        ("user disabled", |write, at| write.disable_user(&ada(), &when(at)).map(drop)),
        ("user deleted", |write, at| write.delete_user(&ada(), &when(at)).map(drop)),
        ("password set", |write, at| {
            write.set_password(&ada(), &PasswordHash::new("other".to_owned()), &when(at)).map(drop)
        }),
        ("client disabled", |write, at| write.disable_client(&web(), &when(at)).map(drop)),
    ];
    let ended_by_watermark: [(&str, Change); 5] = [
        ("sessions ended", |write, at| write.revoke_user_sessions(&ada(), &when(at)).map(drop)),
        ("the client's sessions ended", |write, at| {
            write.revoke_client_sessions(&web(), &when(at)).map(drop)
        }),
        ("all sessions ended", |write, at| write.revoke_all_sessions(&when(at))),
        ("user disabled and enabled", |write, at| {
            write.disable_user(&ada(), &when(at))?;
            write.enable_user(&ada(), &when(at)).map(drop)
        }),
        ("client disabled and enabled", |write, at| {
            write.disable_client(&web(), &when(at))?;
            write.enable_client(&web(), &when(at)).map(drop)
        }),
    ];
    for (what, change) in ended_by_state {
        assert_eq!(sign_in_around(change, NOW).await, Began::Stale, "{what}");
        // The other clock may be behind, and then no watermark helps.
        assert_eq!(sign_in_around(change, NOW - LATER).await, Began::Stale, "{what}, by an older clock");
    }
    for (what, change) in ended_by_watermark {
        assert_eq!(sign_in_around(change, NOW).await, Began::Stale, "{what}");
        assert_eq!(sign_in_around(change, NOW - LATER).await, Began::Yes, "{what}, a minute ago");
    }
}

#[tokio::test]
async fn what_does_not_concern_a_sign_in_does_not_stop_it() {
    let table: [(&str, Change); 3] = [
        ("nothing", |_, _| Ok(())),
        ("another user", |write, at| {
            assert_eq!(write.insert_user(&user("eve"), &when(at))?, Added::Yes);
            write.disable_user(&UserId("eve".to_owned()), &when(at)).map(drop)
        }),
        ("another client", |write, at| {
            assert_eq!(write.insert_client(&client("app"), &when(at))?, Added::Yes);
            write.disable_client(&ClientId("app".to_owned()), &when(at)).map(drop)
        }),
    ];
    for (what, change) in table {
        assert_eq!(sign_in_around(change, NOW).await, Began::Yes, "{what}");
    }
}

#[tokio::test]
async fn nobody_begins_a_session_at_a_client_that_is_unknown() {
    let database = Database::new().await;
    let mut session = session("s", NOW);
    session.client_id = ClientId("nowhere".to_owned());
    let began = database.write(move |write| write.insert_session(&session, 1, &event(Event::SignedIn))).await;
    assert_eq!(began, Began::Stale);
}

/// Decides at [`NOW`], lets another connection commit `change`, then writes. What was not begun left nothing.
async fn sign_in_around(change: Change, at: Instant) -> Began {
    let database = Database::new().await;
    let decided = database.read(|read| Ok((read.find_user(&ada())?, read.find_client(&web())?))).await;
    let (Some(user), Some(client)) = decided else { panic!("the fixture has both") };
    let opening = user.open_session(&client, session("s", NOW).id, &Policy::default(), NOW);
    let session = opening.unwrap().signed(digest("first"), "kid-1".to_owned(), digest("browser"));

    let elsewhere = Store::open(&database.url).unwrap();
    elsewhere.write(move |write| change(write, at)).await.unwrap();
    let before = database.contents();
    let written = session.clone();
    let began = database
        .write(move |write| write.insert_session(&written, user.password_version, &event(Event::SignedIn)))
        .await;

    match began {
        Began::Yes => assert_eq!(database.session("s").await, session),
        Began::Stale => assert_eq!(database.contents(), before),
    }
    began
}

fn ada() -> UserId {
    UserId("ada".to_owned())
}

fn web() -> ClientId {
    ClientId("web".to_owned())
}

/// An event at an instant; which one is of no concern here.
fn when(at: Instant) -> AuditEvent {
    AuditEvent { at, ..event(Event::SessionRevoked) }
}
