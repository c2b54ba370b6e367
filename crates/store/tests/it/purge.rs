//! A purge takes what has expired and nothing else, a batch at a time.

use std::time::Duration;

use attesto_core::{Attempts, AuditEvent, Event, Instant, ThrottleLimits, UserId, VERIFIER_MARGIN};
use attesto_store::{StoreError, ThrottleKeys, Write};

use crate::fixture::{Database, LONGEST_ACCESS_LIFETIME, NOW, added, event, session, user};

const AGE: Duration = Duration::from_secs(60);
const BATCH: i64 = 3;

/// A kind of row: its table, how one comes to be at an instant, how old ones are purged, and when one that came to be
/// at [`NOW`] is old.
struct Kind {
    table: &'static str,
    add: fn(&mut Write<'_>, usize, Instant) -> Result<(), StoreError>,
    purge: fn(&mut Write<'_>, Instant, i64) -> Result<usize, StoreError>,
    expires_at: fn() -> Instant,
}

const KINDS: [Kind; 3] = [
    Kind {
        table: "sessions",
        add: |write, number, at| {
            let session = session(&format!("s{number}"), at);
            write.insert_session(&session, 1, &event(Event::SignedIn)).map(drop)
        },
        purge: |write, now, batch| write.purge_sessions(now, batch),
        // Its last access token may have been issued at its very end.
        expires_at: || session("s", NOW).idle_expires_at + LONGEST_ACCESS_LIFETIME + VERIFIER_MARGIN,
    },
    Kind {
        table: "throttles",
        add: |write, number, at| {
            let keys = ThrottleKeys::of_unknown(&format!("name {number}"), &format!("address {number}"));
            write.reserve_attempt(&keys, ThrottleLimits::default(), at).map(drop)
        },
        purge: |write, now, batch| write.purge_throttles(now, batch),
        expires_at: || NOW + Attempts::LIFETIME,
    },
    Kind {
        table: "revocations",
        add: |write, _, at| {
            let event = AuditEvent { at, ..event(Event::UserSessionsRevoked) };
            write.revoke_user_sessions(&UserId("eve".to_owned()), &event).map(drop)
        },
        purge: |write, now, batch| write.purge_revocations(now, batch),
        expires_at: || NOW + LONGEST_ACCESS_LIFETIME + VERIFIER_MARGIN,
    },
];

#[tokio::test]
async fn only_what_has_expired_goes_and_in_batches() {
    for Kind { table, add, purge, expires_at } in KINDS {
        let database = Database::new().await;
        database.write(|write| write.insert_user(&user("eve"), &event(Event::UserAdded))).await;
        database.tamper("DELETE FROM audit_events");
        database.write(move |write| (0..5).try_for_each(|number| add(write, number, NOW))).await;
        let old = database.rows(table);
        database.write(move |write| (5..9).try_for_each(|number| add(write, number, NOW + AGE))).await;
        let young = added(&old, &database.rows(table));

        let run = |now| database.write(move |write| purge(write, now, BATCH));
        assert_eq!(run(expires_at() - Duration::from_millis(1)).await, 0, "{table}");
        let mut removed = vec![];
        while removed.last() != Some(&0) {
            removed.push(run(expires_at()).await);
            assert!(removed.len() < 100, "{table}");
        }
        let (last, batches) = removed.split_last().unwrap();
        assert_eq!((*last, batches.iter().sum()), (0, old.len()), "{table}");
        assert!(batches.iter().all(|removed| i64::try_from(*removed).unwrap() <= BATCH), "{table}");
        assert_eq!(batches.len(), old.len().div_ceil(3), "{table}");
        assert_eq!(database.rows(table), young, "{table}");
    }
}

#[tokio::test]
async fn a_place_in_the_feed_is_never_given_again() {
    let database = Database::new().await;
    let end = |at| {
        database.write(move |write| {
            let event = AuditEvent { at, ..event(Event::UserSessionsRevoked) };
            write.revoke_user_sessions(&UserId("ada".to_owned()), &event)
        })
    };
    end(NOW).await;
    let later = NOW + Duration::from_secs(3600);
    assert_eq!(database.write(move |write| write.purge_revocations(later, 10)).await, 1);
    end(later).await;
    let left: Vec<_> = database.read(|read| read.list_revocations(0, 10)).await;
    assert_eq!(left.iter().map(|record| record.seq).collect::<Vec<_>>(), [2]);
}
