//! A refresh is decided, then signed, then written: what ended in between decides. Otherwise an access token could be
//! given out that is younger than the record of the end says.

use std::time::Duration;

use attesto_core::{
    AuditEvent, ClientId, Event, Jti, PasswordHash, Policy, Presented, Reason, Redemption, Repeat, SessionId,
    UserId,
};
use attesto_store::{Moved, Store, StoreError, Write};

use crate::fixture::{Database, NOW, client, event, keep, rotation, session, user};

/// What another connection commits, at an instant of its own clock.
type End = fn(&mut Write<'_>, &AuditEvent) -> Result<(), StoreError>;

/// What is written at the end of a refresh that was decided so; says whether its tokens may be given out.
type Refresh = fn(&mut Write<'_>, &Repeat) -> Result<bool, StoreError>;

const ENDS: [(&str, End); 8] = [
    ("session ended", |write, event| write.revoke_session(&sid(), Reason::Logout, event).map(drop)),
    ("user's sessions ended", |write, event| write.revoke_user_sessions(&ada(), event).map(drop)),
    ("client's sessions ended", |write, event| write.revoke_client_sessions(&web(), event).map(drop)),
    ("all sessions ended", |write, event| write.revoke_all_sessions(event)),
    ("user disabled", |write, event| write.disable_user(&ada(), event).map(drop)),
    ("user deleted", |write, event| write.delete_user(&ada(), event).map(drop)),
    ("password set", |write, event| {
        write.set_password(&ada(), &PasswordHash::new("other".to_owned()), event).map(drop)
    }),
    ("client disabled", |write, event| write.disable_client(&web(), event).map(drop)),
];

const REFRESHES: [(&str, Refresh); 3] = [
    ("rotation", |write, _| Ok(write.change().rotate_session(&rotation("s", 2, "third"))? == Moved::Yes)),
    ("keep", |write, _| Ok(write.change().keep_session(&keep(&session("s", NOW), 2))? == Moved::Yes)),
    ("repeat", |write, repeat| write.repeat_session(repeat, Some(&event(Event::RefreshRetried)))),
];

#[tokio::test]
async fn what_ended_since_the_decision_stops_a_refresh() {
    for (end, commit) in ENDS {
        for (refresh, write) in REFRESHES {
            let database = Database::new().await;
            let repeat = decided(&database).await;
            let elsewhere = Store::open(&database.url).unwrap();
            elsewhere.write(move |write| commit(write, &event(Event::SessionRevoked))).await.unwrap();
            let before = database.contents();
            assert!(!database.write(move |tx| write(tx, &repeat)).await, "{refresh}, {end}");
            assert_eq!(database.contents(), before, "{refresh}, {end}");
        }
    }
}

#[tokio::test]
async fn what_did_not_end_goes_on() {
    for (refresh, write) in REFRESHES {
        let database = Database::new().await;
        let repeat = decided(&database).await;
        database
            .write(|write| {
                let event = event(Event::SessionRevoked);
                write.insert_user(&user("eve"), &event)?;
                write.insert_client(&client("app"), &event)?;
                write.revoke_user_sessions(&UserId("eve".to_owned()), &event)?;
                write.disable_client(&ClientId("app".to_owned()), &event)
            })
            .await;
        assert!(database.write(move |tx| write(tx, &repeat)).await, "{refresh}");
    }
}

/// A session that was rotated once, and a retry of that rotation that is decided and not yet written. A rotation and a
/// keep of the second generation could be decided as well.
async fn decided(database: &Database) -> Repeat {
    database.begin("s").await;
    database.write(|write| write.change().rotate_session(&rotation("s", 1, "second"))).await;
    let standing = database.read(|read| read.find_standing(&sid())).await.unwrap();
    let jti = Jti::new("presented".to_owned());
    let presented = Presented { sid: sid(), generation: 1, jti, key_is_trusted: true };
    match standing.redeem(&presented, &web(), &Policy::default(), NOW + Duration::from_secs(2)) {
        Redemption::Repeat(repeat) => repeat,
        _ => panic!("the direct predecessor, within its grace"),
    }
}

fn sid() -> SessionId {
    SessionId("s".to_owned())
}

fn ada() -> UserId {
    UserId("ada".to_owned())
}

fn web() -> ClientId {
    ClientId("web".to_owned())
}
