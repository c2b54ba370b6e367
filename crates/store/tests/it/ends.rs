//! Every end writes what it changes, one record of the feed and one audit row; what is over stays over.

use std::time::Duration;

use attesto_core::{
    AuditEvent, ClientId, Ending, Event, Feed, Instant, KeyChange, KeyState, KeyUse, PasswordHash, Reason,
    Revocation, RevocationKind, ServerReport, SessionId, UserId, VERIFIER_MARGIN,
};
use attesto_store::{Bounds, Changed, Read, RecordedRevocation, StoreError, Write};

use crate::fixture::{
    Database, LONGEST_ACCESS_LIFETIME, NOW, RS256, added, claims, event, key, key_change, session,
};

/// A database that takes no record, as if its disk were full at the worst moment.
const NO_RECORDS: &str = "ALTER TABLE revocations RENAME TO others";

type End = fn(&mut Write<'_>, &AuditEvent) -> Result<Ending, StoreError>;

/// Of each: what it writes down, the kind and the id of its record, and the act.
const ENDS: [(Event, RevocationKind, &str, End); 8] = [
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
    (Event::ClientSessionsRevoked, RevocationKind::Client, "web", |write, event| {
        write.revoke_client_sessions(&web(), event)
    }),
    (Event::AllSessionsRevoked, RevocationKind::All, "", |write, event| {
        write.revoke_all_sessions(event).map(|()| Ending::Ended)
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
async fn a_leaked_key_is_one_record_of_the_feed() {
    let database = Database::new().await;
    assert_eq!(database.change_keys(leak(), &[event(Event::KeyCompromised)]).await.unwrap(), Changed::Yes);
    let records = database.read(|read| read.list_revocations(0, 10)).await;
    assert_eq!(records, [recorded(&leaked())]);
}

#[tokio::test]
async fn a_thousand_sessions_end_by_one_record() {
    for (what, _, _, end) in ENDS.into_iter().filter(|(_, kind, ..)| *kind != RevocationKind::Session) {
        let database = Database::new().await;
        database
            .write(|write| {
                (0..1000).map(|number| session(&format!("s{number}"), NOW)).try_for_each(|session| {
                    write.insert_session(&session, 1, &event(Event::SignedIn)).map(drop)
                })
            })
            .await;
        assert_eq!(living(&database).await, 1000);
        apply(&database, end, what, NOW).await;
        assert_eq!(living(&database).await, 0, "{what:?}");
        assert_eq!(database.rows("revocations").len(), 1, "{what:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_in_the_feed_has_not_ended() {
    for (what, _, _, end) in ENDS {
        let database = Database::new().await;
        database.begin("s").await;
        database.tamper(NO_RECORDS);
        let before = database.contents();
        let refused = database.store.write(move |write| end(write, &event(what))).await;
        assert!(refused.unwrap_err().to_string().contains("revocations"), "{what:?}");
        assert_eq!(database.contents(), before, "{what:?}");
        assert!(is_live(&database).await, "{what:?}");
    }
    let database = Database::new().await;
    database.tamper(NO_RECORDS);
    let before = database.contents();
    let refused = database.change_keys(leak(), &[event(Event::KeyCompromised)]).await;
    assert!(refused.unwrap_err().to_string().contains("revocations"));
    assert_eq!(database.contents(), before);

    let claims_and_sessions = database.store.write(|write| {
        write.set_claims(&ada(), &claims("{}"), &event(Event::ClaimsChanged))?;
        write.revoke_user_sessions(&ada(), &event(Event::UserSessionsRevoked))
    });
    assert!(claims_and_sessions.await.unwrap_err().to_string().contains("revocations"));
    assert_eq!(database.contents(), before);
}

#[tokio::test]
async fn an_end_by_a_clock_that_is_behind_covers_what_servers_have_signed() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for (what, kind, _, end) in ENDS {
        for (behind, covered_until) in [
            (Duration::from_secs(60), NOW),
            (DAY, NOW),
            // Who was a day ahead is the one that was wrong, and his sessions end one by one.
            (DAY + Duration::from_millis(1), NOW - DAY - Duration::from_millis(1)),
        ] {
            let database = Database::new().await;
            database.begin("s").await;
            database.write(|write| write.put_server(&seen(NOW))).await;
            apply(&database, end, what, NOW - behind).await;
            assert!(!is_live(&database).await, "{what:?} {behind:?}");
            let records = database.read(|read| read.list_revocations(0, 10)).await;
            let (of_session, of_others): (Vec<_>, Vec<_>) =
                records.into_iter().partition(|record| record.kind == RevocationKind::Session as i32);
            let lifetime = LONGEST_ACCESS_LIFETIME + VERIFIER_MARGIN;
            let is_told_of_session = kind == RevocationKind::Session || covered_until < NOW;
            assert_eq!(of_session.len(), usize::from(is_told_of_session), "{what:?} {behind:?}");
            for record in of_session {
                assert_eq!((record.id, record.not_before), (sid().0, covered_until.as_millis()));
                assert_eq!(record.expires_at, (NOW + lifetime).as_millis(), "after its last access token");
            }
            assert_eq!(of_others.len(), usize::from(kind != RevocationKind::Session), "{what:?} {behind:?}");
            for record in of_others {
                assert_eq!(record.expires_at, (covered_until + lifetime).as_millis(), "{what:?} {behind:?}");
                let watermark = Instant::from_seconds(covered_until.seconds() + 1);
                assert_eq!(record.not_before, watermark.as_millis(), "{what:?} {behind:?}");
            }
        }
    }
}

#[tokio::test]
async fn of_every_end_nothing_is_left_in_the_feed_an_hour_later() {
    let hour_later = NOW + Duration::from_secs(3600);
    for (what, _, _, end) in ENDS {
        let database = Database::new().await;
        database.begin("s").await;
        apply(&database, end, what, NOW).await;
        let purge = |now| database.write(move |write| write.purge_revocations(now, 500));
        // While a token can be alive that it refuses, by the slowest clock that is allowed.
        let alive_until = NOW + LONGEST_ACCESS_LIFETIME + VERIFIER_MARGIN;
        assert_eq!(purge(alive_until - Duration::from_millis(1)).await, 0, "{what:?}");
        assert_eq!(purge(hour_later).await, 1, "{what:?}");
        assert!(database.rows("revocations").is_empty(), "{what:?}");
    }
}

/// Whoever signed it: a database that was restored knows neither what was configured since, nor what was signed.
#[tokio::test]
async fn the_record_of_everybody_lives_as_long_as_any_token() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let revoke: End = |write, event| write.revoke_all_sessions(event).map(|()| Ending::Ended);
    let renew: End = |write, event| {
        write.begin_feed(&Feed { epoch: NOW, salt: [1; 16] })?;
        write.renew_feed(&Feed { epoch: NOW + HOUR, salt: [2; 16] }, event).map(|_| Ending::Ended)
    };
    for (what, end, longest) in
        [(Event::AllSessionsRevoked, revoke, LONGEST_ACCESS_LIFETIME), (Event::FeedRenewed, renew, HOUR)]
    {
        for (until, expected) in [(None, longest), (Some(longest / 2), longest), (Some(3 * HOUR), 3 * HOUR)] {
            let database = Database::new().await;
            if let Some(until) = until {
                // It never signed here.
                let mut change = key_change(None, vec![key("elsewhere", RS256, KeyState::Retiring)]);
                let used = KeyUse { latest_exp: Some(NOW + until), signatures: 0 };
                change.used = Some(("elsewhere".to_owned(), used));
                assert_eq!(database.change_keys(change, &[]).await.unwrap(), Changed::Yes);
            }
            apply(&database, end, what, NOW).await;
            let [record] = &database.read(|read| read.list_revocations(0, 10)).await[..] else {
                panic!("one record")
            };
            assert_eq!(record.kind, RevocationKind::All as i32);
            let expires_at = NOW + expected + Duration::from_secs(120);
            assert_eq!(record.expires_at, expires_at.as_millis(), "{what:?} {until:?}");
        }
    }
}

#[tokio::test]
async fn an_end_of_what_is_unknown_or_over_changes_nothing() {
    // There is always somebody to end the sessions of, when it is everybody.
    for (what, _, _, end) in ENDS.into_iter().filter(|(_, kind, ..)| *kind != RevocationKind::All) {
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
    for what in [
        Event::UserSessionsRevoked,
        Event::UserDisabled,
        Event::PasswordChanged,
        Event::ClientDisabled,
        Event::ClientSessionsRevoked,
        Event::AllSessionsRevoked,
    ] {
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

async fn watermarks(database: &Database) -> [Option<Instant>; 3] {
    let read = |read: &mut Read<'_>| {
        Ok((read.find_user(&ada())?, read.find_client(&web())?, read.find_watermark()?))
    };
    let (user, client, of_all) = database.read(read).await;
    [user.unwrap().watermark.0, client.unwrap().watermark.0, of_all.0]
}

async fn living(database: &Database) -> usize {
    let sessions = database.read(|read| read.list_sessions(None, "", 2000, NOW)).await;
    sessions.iter().filter(|listed| listed.is_live).count()
}

/// A server that runs.
fn seen(at: Instant) -> ServerReport {
    ServerReport {
        id: "server".to_owned(),
        version: "0.0.0".to_owned(),
        kek_ids: vec![],
        confirmed_kids: vec![],
        key_version: 0,
        seen_at: at,
        feed_seq: 0,
    }
}

/// The record of a key that leaked.
fn leaked() -> Revocation {
    let expires_at = NOW + LONGEST_ACCESS_LIFETIME;
    Revocation { kind: RevocationKind::Kid, id: "kid-1".to_owned(), not_before: NOW, expires_at }
}

fn leak() -> KeyChange {
    let row = key("kid-1", RS256, KeyState::Compromised);
    KeyChange { revocation: Some(leaked()), ..key_change(None, vec![row]) }
}

fn recorded(record: &Revocation) -> RecordedRevocation {
    RecordedRevocation {
        seq: 1,
        kind: record.kind as i32,
        id: record.id.clone(),
        not_before: record.not_before.as_millis(),
        expires_at: record.expires_at.as_millis(),
    }
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
