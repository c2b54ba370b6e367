//! Somebody else changes the keys, and the running server follows.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::http::header::IF_NONE_MATCH;
use actix_web::test::TestRequest;
use attesto_core::{AuditFilter, KeyState};
use attesto_server::block_on;
use attesto_store::{Read, StoreError};
use futures_util::future::{join, join_all};
use serde_json::json;

use crate::fixture::{
    ADA, Answer, Authority, EMPTY, ES256, JWKS, Live, OBTAIN, PASSWORD, PROMOTABLE_AFTER, RS256, kid_of, soon,
};

#[actix_web::test]
async fn a_running_server_signs_with_the_new_key_and_publishes_the_new_set() {
    let authority = Authority::with("jwks_max_age = \"5m\"\njwks_stale_while_revalidate = \"4m\"\n").await;
    authority.clock.advance(PROMOTABLE_AFTER);
    let (before, set_before) = (authority.sign_in().await, authority.jwks().await);
    let old = kid_of(&before.access);
    let new = authority.key(RS256, KeyState::Staged).await;

    authority.rotate(RS256).await.unwrap();
    soon(async || (kid_of(&authority.sign_in().await.access) == new).then_some(())).await;
    let after = authority.sign_in().await;
    assert_eq!((kid_of(&after.access), kid_of(&after.refresh)), (new.clone(), new.clone()));
    for (kid, state) in [(&old, KeyState::Retiring), (&new, KeyState::Active)] {
        assert_eq!(authority.row(kid).await.state, state);
    }
    let next = authority.key(RS256, KeyState::Staged).await;
    assert_eq!(authority.published().await, BTreeSet::from([old, new.clone(), next]));

    let set = authority.jwks().await;
    assert!(set.body != set_before.body && set.header("etag") != set_before.header("etag"));
    assert_eq!(
        set.header("cache-control"),
        "public, max-age=300, stale-while-revalidate=240, stale-if-error=86400"
    );
    for (known, status) in [(&set_before, 200), (&set, 304)] {
        let request = TestRequest::get().uri(JWKS).insert_header((IF_NONE_MATCH, known.header("etag")));
        assert_eq!(authority.send(request).await.status, status);
    }

    authority.verify(&before.access).await.is(200, EMPTY);
    authority.verify(&before.refresh).await.is(200, EMPTY);
    let renewed = authority.refresh(&before.refresh).await.pair();
    assert_eq!((kid_of(&renewed.access), kid_of(&renewed.refresh)), (new.clone(), new));
    // An answer that was lost in the meantime.
    assert_eq!(authority.refresh(&before.refresh).await.pair().refresh, renewed.refresh);
}

#[actix_web::test]
async fn a_successor_that_a_retiring_key_signed_is_repeated_byte_for_byte() {
    let authority = Authority::new().await;
    authority.clock.advance(PROMOTABLE_AFTER);
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair();
    let (old, new) = authority.rotated(RS256).await;
    let again = authority.refresh(&first).await.pair();
    assert_eq!(again.refresh, second.refresh);
    assert_eq!((kid_of(&again.refresh), kid_of(&again.access)), (old, new));
}

/// The authority of the tests was set up years ago: its schedule is due as soon as a real server starts.
#[test]
fn a_real_server_rotates_follows_and_reports_by_itself() {
    let live = Live::start("");
    let signs_with_another_key = || {
        let pair = sign_in(&live).pair();
        let kid = kid_of(&pair.access);
        let table = ask(&live, |tx| tx.find_key_table());
        let is_second = table.find(&kid).unwrap().active_at > table.keys[0].created_at.into();
        is_second.then_some(kid)
    };
    let kid = within(Duration::from_secs(10), signs_with_another_key);
    // The line of the feed is due as well.
    let moved = within(Duration::from_secs(10), || {
        let mut events = ask(&live, |tx| tx.list_audit_events(&AuditFilter::default(), 100));
        events.retain(|event| event.reason.as_deref() == Some("schedule"));
        (events.len() >= 6).then_some(events)
    });
    let table = ask(&live, |tx| tx.find_key_table());
    let set = live.exchange(format!("GET {JWKS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).json();
    assert_eq!(set["keys"].as_array().unwrap().len(), 3);
    assert_eq!(moved.len(), 6, "{moved:?}");
    assert!(moved.iter().all(|event| event.actor == "server"));

    let reported = within(Duration::from_secs(5), || {
        let server = ask(&live, |tx| tx.list_servers()).pop()?;
        let counted = ask(&live, |tx| tx.find_key_facts()).of(&kid).signatures;
        (server.key_version == 3 && counted > 0).then_some((server, counted))
    });
    let (server, counted) = reported;
    assert_eq!(server.confirmed_kids.len(), table.keys.len());
    assert!(table.keys.iter().all(|key| server.confirmed_kids.contains(&key.kid)));
    assert_eq!(counted % 2, 0, "an access token and a refresh token for each sign-in");
}

fn sign_in(live: &Live) -> Answer {
    let body = json!({"username": ADA, "password": PASSWORD}).to_string();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    live.post(OBTAIN, &headers, body.as_bytes())
}

fn ask<T: Send + 'static>(
    live: &Live,
    queries: impl FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    block_on(live.store.read(queries)).unwrap()
}

fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Each of them sees what was true at some moment, whatever the others see meanwhile.
#[actix_web::test]
async fn readers_beside_each_other_take_no_change_for_a_rollback() {
    const CHANGES: i64 = 30;
    let authority = Authority::new().await;
    let (keeper, over) = (authority.keeper().await, Cell::new(false));
    let read = async || {
        let mut versions = Vec::new();
        while !over.get() {
            versions.push(keeper.read().await.unwrap().0.version());
        }
        versions
    };
    let change = async {
        for _ in 0..CHANGES {
            authority.stage(ES256).await;
        }
        over.set(true);
    };
    let (versions, ()) = join(join_all([read(), read(), read(), read(), read(), read()]), change).await;
    assert!(versions.iter().all(|versions| versions.is_sorted() && !versions.is_empty()), "{versions:?}");
    assert!(keeper.read().await.unwrap().0.version() > CHANGES);
}
