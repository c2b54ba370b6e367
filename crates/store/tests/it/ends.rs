//! Every end writes what it changes, one record of the feed and one audit row; what is over stays over.

use std::time::Duration;

use attesto_core::{
    AuditEvent, ClientId, Ending, Event, Instant, PasswordHash, Reason, RevocationKind, SessionId, UserId,
};
use attesto_store::{Bounds, RecordedRevocation, StoreError, Write};

use crate::fixture::{Database, LONGEST_ACCESS_LIFETIME, NOW, added, event};

type End = fn(&mut Write<'_>, &AuditEvent) -> Result<Ending, StoreError>;

const ENDS: [(Event, RevocationKind, &str, End); 6] = [
    (Event::UserSessionsRevoked, RevocationKind::Subject, "ada", |write, event| {
        write.revoke_user_sessions(&ada(), event)
    }),
    (Event::UserDisabled, RevocationKind::Subject, "ada", |write, event| write.disable_user(&ada(), event)),
    (Event::UserDeleted, RevocationKind::Subject, "ada", |write, event| write.delete_user(&ada(), event)),
    (Event::PasswordChanged, RevocationKind::Subject, "ada", |write, event| {
        write.set_password(&ada(), &PasswordHash::new("other".to_owned()), event)
    }),
    (Event::ClientDisabled, RevocationKind::Client, "web", |write, event| {
        write.disable_client(&web(), event)
    }),
    (Event::SessionRevoked, RevocationKind::Session, "s", |write, event| {
        write.revoke_session(&sid(), Reason::Operator, event)
    }),
];

#[tokio::test]
async fn each_end_is_one_record_of_the_feed_and_one_audit_row() {
    for (what, kind, id, end) in ENDS {
        let database = Database::new().await;
        database.begin("s").await;
        let audit = database.rows("audit_events");

        assert_eq!(apply(&database, end, what, NOW).await, Ending::Ended, "{what:?}");

        let watermark = Instant::from_seconds(NOW.seconds() + 1);
        let is_session = kind == RevocationKind::Session;
        let expected = RecordedRevocation {
            seq: 1,
            kind: kind as i32,
            id: id.to_owned(),
            not_before: if is_session { NOW } else { watermark }.as_millis(),
            expires_at: (NOW + LONGEST_ACCESS_LIFETIME + Duration::from_secs(120)).as_millis(),
        };
        assert_eq!(database.read(|read| read.list_revocations(0, 10)).await, [expected], "{what:?}");

        let new = added(&audit, &database.rows("audit_events"));
        let expected = [format!("at={}", NOW.as_millis()), format!("event='{}'", what.as_str())];
        assert_eq!(new.len(), 1, "{what:?}");
        assert!(expected.iter().all(|field| new[0].contains(field)), "{what:?}: {new:?}");
    }
}

#[tokio::test]
async fn an_end_of_what_is_unknown_or_over_changes_nothing() {
    for (what, _, _, end) in ENDS {
        let database = Database::empty().await;
        let before = database.contents();
        assert_eq!(apply(&database, end, what, NOW).await, Ending::Unknown, "{what:?}");
        assert_eq!(database.contents(), before, "{what:?}");
    }
    // The others can be repeated: each raises the watermark once more.
    for what in [Event::UserDisabled, Event::ClientDisabled, Event::SessionRevoked] {
        let end = end_of(what);
        let database = Database::new().await;
        database.begin("s").await;
        apply(&database, end, what, NOW).await;
        let before = database.contents();
        assert_eq!(apply(&database, end, what, NOW).await, Ending::AlreadyOver, "{what:?}");
        assert_eq!(database.contents(), before, "{what:?}");
    }
}

#[tokio::test]
async fn no_session_lives_after_its_end_nor_after_an_enabling() {
    for (what, _, _, end) in ENDS {
        let database = Database::new().await;
        database.begin("s").await;
        assert!(is_live(&database).await);
        apply(&database, end, what, NOW).await;
        assert!(!is_live(&database).await, "{what:?}");
        database.write(enable).await;
        assert!(!is_live(&database).await, "{what:?}, then enabled");
    }
}

#[tokio::test]
async fn enabling_says_whether_there_was_something_to_enable() {
    let database = Database::new().await;
    let before = database.contents();
    assert_eq!(database.write(enable).await, [false, false]);
    assert_eq!(database.contents(), before);
    database
        .write(|write| {
            write.disable_user(&ada(), &event(Event::UserDisabled))?;
            write.disable_client(&web(), &event(Event::ClientDisabled))
        })
        .await;
    assert_eq!(database.write(enable).await, [true, true]);
    assert_eq!(database.write(enable).await, [false, false]);
}

#[tokio::test]
async fn a_watermark_never_falls() {
    for what in
        [Event::UserSessionsRevoked, Event::UserDisabled, Event::PasswordChanged, Event::ClientDisabled]
    {
        let end = end_of(what);
        let database = Database::new().await;
        apply(&database, end, what, NOW).await;
        let high = watermarks(&database).await;
        database.write(enable).await;
        apply(&database, end, what, NOW - Duration::from_secs(60)).await;
        assert_eq!(watermarks(&database).await, high, "{what:?}");
        let records = database.read(|read| read.list_revocations(0, 10)).await;
        assert_eq!(records[0].not_before, records[1].not_before, "{what:?}");
    }
}

#[tokio::test]
async fn the_bound_on_access_lifetime_holds_for_records() {
    let database = Database::new().await;
    let longer = LONGEST_ACCESS_LIFETIME * 2;
    let bounds =
        Bounds { access_lifetime: longer, refresh_lifetime: longer * 2, jwks_lifetime: Duration::ZERO };
    database.write(move |write| write.raise_bounds(bounds)).await;
    let what = Event::UserSessionsRevoked;
    apply(&database, end_of(what), what, NOW).await;
    let records = database.read(|read| read.list_revocations(0, 10)).await;
    assert_eq!(records[0].expires_at, (NOW + longer + Duration::from_secs(120)).as_millis());
}

#[tokio::test]
async fn a_change_of_password_is_counted() {
    let database = Database::new().await;
    let what = Event::PasswordChanged;
    for version in [2, 3] {
        apply(&database, end_of(what), what, NOW).await;
        let ada = database.read(|read| read.find_user(&ada())).await.unwrap();
        assert_eq!((ada.password_hash.expose(), ada.password_version), ("other", version));
    }
}

fn enable(write: &mut Write<'_>) -> Result<[bool; 2], StoreError> {
    Ok([
        write.enable_user(&ada(), &event(Event::UserEnabled))?,
        write.enable_client(&web(), &event(Event::ClientEnabled))?,
    ])
}

fn end_of(what: Event) -> End {
    let found = ENDS.into_iter().find(|(known, ..)| *known == what);
    found.map(|(.., end)| end).unwrap()
}

async fn apply(database: &Database, end: End, what: Event, at: Instant) -> Ending {
    let event = AuditEvent { at, ..event(what) };
    database.write(move |write| end(write, &event)).await
}

async fn is_live(database: &Database) -> bool {
    let standing = database.read(|read| read.find_standing(&sid())).await.unwrap();
    standing.gate(&web(), NOW).is_none()
}

async fn watermarks(database: &Database) -> [Option<Instant>; 2] {
    let (user, client) = database.read(|read| Ok((read.find_user(&ada())?, read.find_client(&web())?))).await;
    [user.unwrap().watermark.0, client.unwrap().watermark.0]
}

fn ada() -> UserId {
    UserId("ada".to_owned())
}

fn web() -> ClientId {
    ClientId("web".to_owned())
}

fn sid() -> SessionId {
    SessionId("s".to_owned())
}
