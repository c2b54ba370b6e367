//! A key has leaked, and is withdrawn by one command.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use attesto_core::{KeyState, RevocationKind, VERIFIER_MARGIN};
use attesto_keyring::{Signer, sign_jws};
use attesto_token::typ;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::fixture::{
    Authority, BLACKLISTED, Claims, EMPTY, INVALID, NOW, PROMOTABLE_AFTER, Pair, REASON, RS256, SECOND,
    VERIFIED_BLACKLISTED, claims, kid_of,
};

/// An authority whose signing key is about to leak, and whoever will have it.
struct Leak {
    authority: Authority,
    kid: String,
    /// The private key.
    stolen: Arc<dyn Signer>,
}

impl Leak {
    async fn new() -> Self {
        let authority = Authority::new().await;
        let stolen = authority.signer().await;
        Self { kid: stolen.public_jwk().kid.clone(), authority, stolen }
    }

    async fn is_noticed(&self) {
        self.authority.compromise(&self.kid).await;
        self.authority.follows().await;
    }

    /// The claims of `token` with a secret that was made up, altered further, signed with the stolen key.
    async fn forge(&self, token: &str, alter: impl FnOnce(&mut Claims)) -> String {
        let mut claims = claims(token);
        claims.insert("jti".into(), json!("0".repeat(32)));
        alter(&mut claims);
        sign_jws(self.stolen.as_ref(), typ::REFRESH, &claims).await.unwrap()
    }
}

#[actix_web::test]
async fn a_leaked_key_is_unpublished_and_signs_no_more_and_no_session_ends() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let pairs = [authority.sign_in().await, authority.sign_in().await];
    let next = authority.key(RS256, KeyState::Staged).await;
    leak.is_noticed().await;

    let newest = authority.key(RS256, KeyState::Staged).await;
    assert_eq!(authority.published().await, [next.clone(), newest].into());
    let fresh = authority.sign_in().await;
    assert_eq!((kid_of(&fresh.access), kid_of(&fresh.refresh)), (next.clone(), next.clone()));
    assert_eq!(authority.living().await.len(), 3);
    for Pair { access, refresh } in &pairs {
        // Anybody could have signed it.
        authority.verify(access).await.is(401, INVALID);
        authority.verify(refresh).await.is(200, EMPTY);
        let renewed = authority.refresh(refresh).await.pair();
        assert_eq!((kid_of(&renewed.access), kid_of(&renewed.refresh)), (next.clone(), next.clone()));
        authority.verify(&renewed.access).await.is(200, EMPTY);
        authority.refresh(&renewed.refresh).await.pair();
    }
    assert_eq!(authority.living().await.len(), 3);
}

#[actix_web::test]
async fn it_is_told_to_services_and_recorded() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let next = authority.key(RS256, KeyState::Staged).await;
    authority.clock.advance(SECOND);
    leak.is_noticed().await;

    let [record] = &authority.revocations().await[..] else { panic!("one record") };
    assert_eq!((record.kind, &record.id), (RevocationKind::Kid as i32, &leak.kid));
    let at = NOW + SECOND;
    assert_eq!(record.not_before, at.as_millis());
    // Caches and verifiers may trust the key for as long as they may not know a new one.
    assert_eq!(record.expires_at, (at + PROMOTABLE_AFTER + VERIFIER_MARGIN).as_millis());

    let newest = authority.key(RS256, KeyState::Staged).await;
    let events = authority.key_events().await;
    let told: Vec<_> =
        events.iter().map(|event| (event.event.as_str(), event.kid.as_deref().unwrap())).collect();
    assert_eq!(
        told,
        [("key_compromised", &*leak.kid), ("key_promoted", &*next), ("key_generated", &*newest)]
    );
    for event in events {
        assert_eq!((event.actor.as_str(), event.reason.as_deref()), ("operator:tester", Some(REASON)));
        assert_eq!(event.at, at.as_millis());
    }
}

#[actix_web::test]
async fn what_is_forged_with_it_neither_refreshes_nor_ends_a_session() {
    let mut leak = Leak::new().await;
    let first = leak.authority.sign_in().await.refresh;
    let second = leak.authority.refresh(&first).await.pair().refresh;
    let current = leak.authority.refresh(&second).await.pair().refresh;
    let other = leak.authority.sign_in().await.refresh;
    leak.is_noticed().await;
    // What was compromised is known from the database, not from having been there.
    for is_restarted in [false, true] {
        if is_restarted {
            leak.authority = leak.authority.restarted().await;
        }
        let authority = &leak.authority;
        let before = (authority.living().await, authority.audited().await, authority.revocations().await);
        let of_generation = async |token: &str, generation: i64| {
            leak.forge(token, |claims| drop(claims.insert("gen".into(), json!(generation)))).await
        };
        let other_sid = claims(&other)["sid"].clone();
        let forged = [
            ("the present generation", of_generation(&current, 3).await),
            ("the one before", of_generation(&current, 2).await),
            ("the first", of_generation(&current, 1).await),
            ("one to come", of_generation(&current, 4).await),
            ("none", of_generation(&current, 0).await),
            ("another session", leak.forge(&current, |it| drop(it.insert("sid".into(), other_sid))).await),
            (
                "a secret from another place",
                leak.forge(&current, |it| drop(it.insert("jti".into(), claims(&other)["jti"].clone()))).await,
            ),
        ];
        for (what, token) in &forged {
            let answer = authority.refresh(token).await;
            assert_eq!((answer.status, answer.body.as_str()), (401, INVALID), "{what}");
            let answer = authority.blacklist(token).await;
            assert_eq!((answer.status, answer.body.as_str()), (401, INVALID), "{what}");
            authority.verify(token).await.is(400, VERIFIED_BLACKLISTED);
        }
        // Given out once, and two generations ago: nothing tells it from a forged one.
        authority.refresh(&first).await.is(401, INVALID);
        let after = (authority.living().await, authority.audited().await, authority.revocations().await);
        assert_eq!(after, before, "restarted: {is_restarted}");
    }
    let authority = &leak.authority;
    authority.refresh(&current).await.pair();
    authority.blacklist(&other).await.is(200, EMPTY);
    authority.refresh(&other).await.is(401, BLACKLISTED);
}

#[actix_web::test]
async fn an_access_token_that_is_forged_with_it_is_refused() {
    let leak = Leak::new().await;
    let pair = leak.authority.sign_in().await;
    leak.is_noticed().await;
    let mut claims = claims(&pair.access);
    claims.insert("sub".into(), json!("root"));
    let forged = sign_jws(leak.stolen.as_ref(), typ::ACCESS, &claims).await.unwrap();
    leak.authority.verify(&forged).await.is(401, INVALID);
}

#[actix_web::test]
async fn the_exact_predecessor_gets_the_same_successor_signed_anew() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    leak.is_noticed().await;
    let again = authority.refresh(&first).await.pair();
    let next = authority.key(RS256, KeyState::Active).await;
    assert_eq!((kid_of(&second), kid_of(&again.refresh)), (leak.kid.clone(), next));
    assert_eq!(claims(&again.refresh), claims(&second), "the same secret, time and generation");
    // Either one is the token that the session knows.
    authority.verify(&second).await.is(200, EMPTY);
    let third = authority.refresh(&again.refresh).await.pair().refresh;
    assert_eq!(authority.refresh(&second).await.pair().refresh, third);
}

#[actix_web::test]
async fn after_its_grace_the_exact_predecessor_is_a_replay_whatever_its_key_is_worth() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let first = authority.sign_in().await.refresh;
    authority.refresh(&first).await.pair();
    leak.is_noticed().await;
    authority.clock.advance(30 * SECOND);
    authority.refresh(&first).await.is(401, BLACKLISTED);
    assert!(!authority.session_of(&first).await.is_live);
}

#[actix_web::test]
async fn a_key_that_leaks_when_it_no_longer_signs_is_refused_as_well() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let (old, new) = authority.rotated(RS256).await;
    assert_eq!(old, leak.kid);
    // Of the present second, but for the old key.
    let pair = authority.sign_in().await;
    let forged = sign_jws(leak.stolen.as_ref(), typ::ACCESS, &claims(&pair.access)).await.unwrap();
    authority.verify(&forged).await.is(200, EMPTY);
    leak.is_noticed().await;
    authority.verify(&forged).await.is(401, INVALID);
    assert!(!authority.published().await.contains(&old));
    assert_eq!(authority.key(RS256, KeyState::Active).await, new);
    authority.refresh(&leak.forge(&pair.refresh, |_| ()).await).await.is(401, INVALID);
    assert_eq!(kid_of(&authority.refresh(&pair.refresh).await.pair().access), new);
}

#[actix_web::test]
async fn a_staged_key_that_leaks_never_signs() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    let (active, staged) =
        (authority.key(RS256, KeyState::Active).await, authority.key(RS256, KeyState::Staged).await);
    authority.compromise(&staged).await;
    authority.follows().await;
    let newest = authority.key(RS256, KeyState::Staged).await;
    assert_eq!(authority.published().await, [active.clone(), newest.clone()].into());
    authority.verify(&pair.access).await.is(200, EMPTY);
    assert_eq!(authority.rotated(RS256).await, (active, newest));
}

#[actix_web::test]
async fn under_load_nobody_notices() {
    let leak = Leak::new().await;
    let authority = &leak.authority;
    let (is_over, withdrawn) = (Cell::new(false), Cell::new(false));
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(authority.sign_in().await.refresh);
    }
    let clients = join_all(tokens.iter().map(async |token| {
        let (mut token, mut signed_late) = (token.clone(), 0);
        while !is_over.get() {
            let is_late = withdrawn.get();
            let pair = authority.refresh(&token).await.pair();
            if is_late {
                assert_ne!(kid_of(&pair.access), leak.kid);
                assert_ne!(kid_of(&pair.refresh), leak.kid);
                signed_late += 1;
            }
            token = pair.refresh;
            sleep(Duration::from_millis(1)).await;
        }
        signed_late
    }));
    let operator = async {
        sleep(Duration::from_millis(500)).await;
        leak.is_noticed().await;
        withdrawn.set(true);
        sleep(Duration::from_millis(500)).await;
        is_over.set(true);
    };
    let (signed_late, ()) = tokio::join!(clients, operator);
    assert!(signed_late.iter().all(|count| *count > 0), "{signed_late:?}");
    assert_eq!(authority.living().await.len(), 8);
}
