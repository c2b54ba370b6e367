//! The server removes what has expired, by itself.

use std::thread;
use std::time::{Duration, Instant};

use attesto_core::{Actor, AuditEvent, AuditFilter, Event};
use attesto_server::{Clock, block_on, purge};
use attesto_store::Store;

use crate::fixture::{Authority, DAY, EMPTY, Folder, Live, NOW, SECOND};

/// More than one batch, in hundreds.
const MANY: usize = 1100;

#[derive(Debug, PartialEq, Eq)]
struct Removed {
    sessions: usize,
    throttles: usize,
    revocations: usize,
    audit_events: usize,
}

/// Removes what expired long ago, and counts it; audit rows are counted only.
async fn remove_leftovers(store: &Store) -> Removed {
    let now = NOW + 365 * DAY;
    let batch = 10_000;
    let removed = store.write(move |tx| {
        let audit_events = tx
            .list_audit_events(&AuditFilter::default(), batch)?
            .iter()
            .filter(|event| event.at < now.as_millis())
            .count();
        Ok(Removed {
            sessions: tx.purge_sessions(now, batch)?,
            throttles: tx.purge_throttles(now, batch)?,
            revocations: tx.purge_revocations(now, batch)?,
            audit_events,
        })
    });
    removed.await.unwrap()
}

/// Everything that expires, from long ago.
async fn leave_rows_behind() -> Folder {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    authority.blacklist(&refresh).await.is(200, EMPTY);
    authority.sign_in().await;
    authority.obtain("nobody", "wrong").await;
    let event = authority.event(Event::SignInRefused);
    authority.write(move |tx| (0..MANY).try_for_each(|_| tx.record(&event))).await;
    let event = authority.event(Event::AllSessionsRevoked);
    // A transaction has a few seconds.
    for _ in 0..MANY / 100 {
        let event = event.clone();
        authority.write(move |tx| (0..100).try_for_each(|_| tx.revoke_all_sessions(&event))).await;
    }
    authority.into_folder().await
}

#[test]
fn expired_rows_vanish_while_the_server_runs() {
    let folder = block_on(leave_rows_behind());
    let copy = folder.again("");
    let there = block_on(async { remove_leftovers(&Store::open(&copy.settings.database).unwrap()).await });
    assert!(there.sessions == 2 && there.throttles >= 2 && there.revocations == MANY + 1, "{there:?}");
    assert!(there.audit_events > MANY);

    let live = Live::serve(folder);
    let begun = Instant::now();
    let event = AuditEvent::new(Event::AllSessionsRevoked, Actor::Server, Clock::system().now());
    block_on(live.store.write(move |tx| tx.revoke_all_sessions(&event))).unwrap();
    let old = || {
        let mut events =
            block_on(live.store.read(|tx| tx.list_audit_events(&AuditFilter::default(), 2000))).unwrap();
        // The server's own schedule leaves new ones.
        events.retain(|event| event.at < (NOW + DAY).as_millis());
        events.len()
    };
    // Audit rows are the last to go.
    while old() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} are left", old());
        thread::sleep(Duration::from_millis(50));
    }
    let left = block_on(remove_leftovers(&live.store));
    assert_eq!(left, Removed { sessions: 0, throttles: 0, revocations: 0, audit_events: 0 });
    let living = block_on(live.store.read(|tx| tx.list_revocations(0, 10))).unwrap();
    assert_eq!(living.len(), 1, "a record stays while a token can be alive that it refuses");
}

#[test]
fn audit_rows_are_kept_as_long_as_configured() {
    let folder = block_on(leave_rows_behind());
    let live = Live::serve(folder.again("audit_lifetime = \"36500d\""));
    let begun = Instant::now();
    let sessions = || block_on(live.store.read(|tx| tx.list_sessions(None, "", 10, NOW))).unwrap().len();
    while sessions() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(50));
    }
    assert!(
        block_on(live.store.read(|tx| tx.list_audit_events(&AuditFilter::default(), 5000))).unwrap().len()
            > MANY
    );
}

/// A refresh token that stays outlives the idle end, and so may the last access token.
#[actix_web::test]
async fn a_session_that_idled_out_can_be_ended_while_its_access_token_lives() {
    let authority = Authority::with("simplejwt_rotates = false\nrefresh_idle_lifetime = \"60s\"").await;
    let pair = authority.sign_in().await;
    authority.clock.advance(599 * SECOND);
    purge(&authority.store, authority.audit_chain(), authority.clock.now(), DAY).await.unwrap();
    authority.blacklist(&pair.refresh).await.is(200, EMPTY);
    assert_eq!(authority.revocations().await.len(), 1, "services hear of it");
}

#[actix_web::test]
async fn no_record_is_left_an_hour_after_its_end() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    authority.blacklist(&refresh).await.is(200, EMPTY);
    let left = async || authority.store.read(|tx| tx.list_revocations(0, 10)).await.unwrap().len();
    assert_eq!(left().await, 1);
    authority.clock.advance(3600 * SECOND);
    purge(&authority.store, authority.audit_chain(), authority.clock.now(), 365 * DAY).await.unwrap();
    assert_eq!(left().await, 0);
}
