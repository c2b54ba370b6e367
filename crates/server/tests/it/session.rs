//! One row per session: rotation, grace, replay.

use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::http::header::USER_AGENT;
use actix_web::test::TestRequest;
use attesto_core::{Ending, Event, Reason, RevocationKind};
use futures_util::future::join_all;
use serde_json::json;

use crate::fixture::{
    Answer, Authority, BLACKLISTED, DAY, DEFAULT_PEER, EMPTY, INVALID, MILLISECOND, NOW, REFRESH, SECOND,
    VERIFIED_BLACKLISTED, claims,
};

const GRACE: Duration = Duration::from_secs(30);

#[actix_web::test]
async fn within_its_grace_the_predecessor_gets_the_same_successor_byte_for_byte() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    authority.clock.advance(SECOND);
    let second = authority.refresh(&first).await.pair();
    let row = authority.session_of(&first).await.session;
    let rotated_at = authority.clock.now();
    for moment in [rotated_at, rotated_at + SECOND, rotated_at + GRACE - MILLISECOND] {
        authority.clock.advance_to(moment);
        let retried = authority.refresh(&first).await;
        assert_eq!(retried.pair().refresh, second.refresh);
        retried.has_headers_of_dialect();
        let access = claims(&retried.pair().access);
        assert_ne!(access["jti"], claims(&second.access)["jti"], "the access token is a fresh one");
        assert_eq!(access["iat"], authority.clock.now().seconds());
    }
    assert_eq!(row.rotated_at, rotated_at);
    assert_eq!(authority.session_of(&first).await.session, row, "a retry changes no column");
    authority.refresh(&second.refresh).await.pair();
}

#[actix_web::test]
async fn after_its_grace_the_predecessor_ends_the_session() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair();
    let other = authority.sign_in().await;
    authority.clock.advance(GRACE);
    let replay = authority.refresh(&first).await;
    replay.is(401, BLACKLISTED);
    is_dead(&authority, &second.refresh, &second.access, replay.header("x-request-id")).await;
    authority.refresh(&other.refresh).await.pair();
}

#[actix_web::test]
async fn once_its_successor_was_used_the_predecessor_ends_the_session() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair();
    let third = authority.refresh(&second.refresh).await.pair();
    let replay = authority.refresh(&first).await;
    replay.is(401, BLACKLISTED);
    is_dead(&authority, &second.refresh, &second.access, replay.header("x-request-id")).await;
    is_dead(&authority, &third.refresh, &third.access, replay.header("x-request-id")).await;
}

/// The session was ended by one replay: no token of it works, and this was recorded once.
async fn is_dead(authority: &Authority, refresh: &str, access: &str, request_id: &str) {
    authority.refresh(refresh).await.is(401, BLACKLISTED);
    authority.blacklist(refresh).await.is(401, BLACKLISTED);
    authority.verify(refresh).await.is(400, VERIFIED_BLACKLISTED);
    authority.verify(access).await.is(400, VERIFIED_BLACKLISTED);

    let session = authority.session_of(refresh).await;
    assert!(!session.is_live && session.session.sealed_successor.is_none());
    let mut ends = authority.audit().await;
    ends.retain(|event| event.event == "session_revoked");
    let [end] = &ends[..] else { panic!("one end") };
    assert_eq!(end.reason.as_deref(), Some("replay"));
    assert_eq!(end.request_id.as_deref(), Some(request_id));
    assert_eq!(end.session_id.as_ref(), Some(&session.session.id.0));
    let [record] = &authority.revocations().await[..] else { panic!("one record") };
    assert_eq!((record.kind, &record.id), (RevocationKind::Session as i32, &session.session.id.0));
}

#[actix_web::test]
async fn generations_count_and_not_seconds() {
    let authority = Authority::new().await;
    let mut chain = vec![authority.sign_in().await.refresh];
    for _ in 0..20 {
        let next = authority.refresh(chain.last().unwrap()).await.pair().refresh;
        chain.push(next);
    }
    for (generation, token) in (1..).zip(&chain) {
        assert_eq!(claims(token)["gen"], generation);
    }
    assert_eq!(authority.session_of(&chain[0]).await.session.generation, 21);
    authority.refresh(&chain[18]).await.is(401, BLACKLISTED);
    authority.refresh(&chain[20]).await.is(401, BLACKLISTED);
}

#[actix_web::test]
async fn without_grace_a_retry_ends_the_session() {
    let authority = Authority::with("grace_interval = \"0s\"").await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair();
    let third = authority.refresh(&second.refresh).await.pair();
    let replay = authority.refresh(&second.refresh).await;
    replay.is(401, BLACKLISTED);
    is_dead(&authority, &third.refresh, &third.access, replay.header("x-request-id")).await;
}

#[actix_web::test]
async fn parallel_refreshes_of_one_token_all_get_the_one_successor() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let answers = join_all((0..64).map(|_| authority.refresh(&first))).await;
    let successor = answers[0].pair().refresh;
    assert!(answers.iter().all(|answer| answer.pair().refresh == successor));
    let session = authority.session_of(&first).await;
    assert!(session.is_live && session.session.generation == 2);
    authority.refresh(&successor).await.pair();
}

#[actix_web::test]
async fn whoever_finds_a_crowd_is_told_at_once_and_loses_nothing() {
    const TOO_MANY: usize = 50;
    let inside = 256 * available_parallelism().unwrap().get();
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let answers = join_all((0..inside + TOO_MANY).map(|_| authority.refresh(&first))).await;
    let told = |answer: &Answer| answer.status == 503 && answer.header("retry-after") == "1";
    assert!(answers[inside..].iter().all(told));
    let answered = answers.iter().find(|answer| answer.status == 200).expect("somebody was answered");
    let successor = answered.pair().refresh;
    assert!(answers.iter().all(|answer| told(answer) || answer.pair().refresh == successor));
    authority.refresh(&successor).await.pair();
}

#[actix_web::test]
async fn a_logout_among_parallel_refreshes_wins() {
    for _ in 0..10 {
        let authority = Authority::new().await;
        let first = authority.sign_in().await.refresh;
        let refreshes = join_all((0..8).map(|_| authority.refresh(&first)));
        let (before, logout, after) =
            tokio::join!(refreshes, authority.blacklist(&first), authority.refresh(&first));
        logout.is(200, EMPTY);
        for answer in before.iter().chain([&after]) {
            match answer.status {
                200 => authority.refresh(&answer.pair().refresh).await.is(401, BLACKLISTED),
                _ => answer.is(401, BLACKLISTED),
            }
        }
        let last = authority.audit().await.pop().unwrap();
        assert_eq!(last.reason.as_deref(), Some("logout"), "not a replay");
    }
}

#[actix_web::test]
async fn a_retry_from_elsewhere_is_recorded_and_one_from_the_same_place_is_not() {
    let authority = Authority::new().await;
    let ask = |peer: &'static str, agent: &'static str, refresh: &str| {
        let request = TestRequest::post()
            .uri(REFRESH)
            .insert_header((USER_AGENT, agent))
            .set_json(json!({"refresh": refresh}));
        authority.send_from(peer, request)
    };
    let first = authority.sign_in().await.refresh;
    let home = DEFAULT_PEER;
    let second = ask(home, "browser", &first).await.pair().refresh;
    assert_eq!(ask("192.0.2.1:50001", "browser", &first).await.pair().refresh, second);
    assert_eq!(authority.audited().await, ["signed_in"], "another port is no other place");

    for (peer, agent) in [("198.51.100.9:50000", "browser"), (home, "robot"), (home, "")] {
        let retried = ask(peer, agent, &first).await;
        assert_eq!(retried.pair().refresh, second);
        let event = authority.audit().await.pop().unwrap();
        assert_eq!(event.event, "refresh_retried");
        assert_eq!(event.actor, format!("address:{}", peer.split(':').next().unwrap()));
        assert_eq!(event.request_id.as_deref(), Some(retried.header("x-request-id")));
        assert_eq!(event.session_id.as_deref(), claims(&first)["sid"].as_str());
    }
    assert_eq!(authority.audited().await.len(), 4);
}

#[actix_web::test]
async fn a_token_that_was_never_issued_does_not_end_the_session() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    // Signed by our own key, as if it had leaked; the secret inside is not that of the row.
    for generation in [2, 3, 1000] {
        let forged = authority
            .forge(&second, |claims| {
                claims.insert("gen".into(), json!(generation));
                claims.insert("jti".into(), json!("0".repeat(32)));
            })
            .await;
        authority.refresh(&forged).await.is(401, INVALID);
    }
    authority.refresh(&second).await.pair();
}

#[actix_web::test]
async fn an_end_by_the_operator_is_told_to_everybody() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    let (sid, event) =
        (authority.session_of(&pair.refresh).await.session.id, authority.event(Event::SessionRevoked));
    let ended = authority.write(move |tx| tx.revoke_session(&sid, Reason::Operator, &event)).await;
    assert_eq!(ended, Ending::Ended);
    authority.refresh(&pair.refresh).await.is(401, BLACKLISTED);
    authority.verify(&pair.access).await.is(400, VERIFIED_BLACKLISTED);
    authority.blacklist(&pair.refresh).await.is(401, BLACKLISTED);
}

#[actix_web::test]
async fn sessions_of_one_user_are_independent() {
    let authority = Authority::new().await;
    let (one, two) = (authority.sign_in().await, authority.sign_in().await);
    assert_ne!(claims(&one.refresh)["sid"], claims(&two.refresh)["sid"]);
    authority.blacklist(&one.refresh).await.is(200, EMPTY);
    authority.clock.advance(DAY);
    authority.refresh(&two.refresh).await.pair();
    assert_eq!(authority.session_of(&two.refresh).await.session.created_at, NOW);
}
