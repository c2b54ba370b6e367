//! The revocation feed, followed from a server that keeps to its specification, or does not.

use std::time::Duration;

use attesto_token::feed::RevokedBy;
use attesto_verifier::{Error, Freshness, JwkSet, OnStale, Position, Verifier};
use serde_json::Value;

use crate::issuer::{Answer, Authority, PATIENCE, TestClock, Told, signed_by, until_here, with_both_drivers};
use crate::token::{EC_KEY, KEY, OTHER_KEY, claims, with};

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

fn position(verifier: &Verifier) -> Option<Position> {
    verifier.status().revocations.unwrap().position
}

fn last_error(verifier: &Verifier) -> Option<String> {
    verifier.status().revocations.unwrap().last_error
}

#[test]
fn a_snapshot_and_then_what_is_new() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        authority.revoke(RevokedBy::Jti, "of somebody else");
        let told = Told::default();
        let verifier = build(told.listen(authority.builder()));
        assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()));
        let token = KEY.token(&claims());
        let known = verifier.verify::<Value>(&token).unwrap().revocations;
        assert!(matches!(known, Freshness::Age(_)));
        until_here("it listens", || authority.issuer.targets().len() >= 4);

        authority.revoke(RevokedBy::Session, "5f1d");
        until_here("the session has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
        assert_eq!(verdict(&verifier, &KEY.token(&with("sid", "another"))), Ok(()));
        assert_eq!(position(&verifier), Some(Position { epoch: 5, seq: 2 }));
        until_here("it says so", || told.of("the revocation feed is at 2, with 2 living records") == 1);
        until_here("it listens on", || authority.issuer.targets().len() >= 5);
        let mut feed = authority.issuer.targets();
        feed.retain(|target| target.starts_with("/revocations"));
        let listen = "/revocations?epoch=5&after=";
        let expected = [
            "/revocations/keys",
            "/revocations",
            &format!("{listen}1&wait=25"),
            &format!("{listen}2&wait=25"),
        ];
        assert_eq!(feed, expected);
    });
}

#[test]
fn each_kind_ends_its_tokens() {
    with_both_drivers(|build| {
        for (kind, id) in [
            (RevokedBy::All, ""),
            (RevokedBy::Kid, KEY.jwk.kid.as_str()),
            (RevokedBy::Client, "web"),
            (RevokedBy::Subject, "42"),
            (RevokedBy::Jti, "9b2fc3d3a4e04f5c8d1e6f7a8b9c0d1e"),
        ] {
            let authority = Authority::start();
            let verifier = build(authority.builder());
            verifier.ready_blocking(PATIENCE).unwrap();
            let token = KEY.token(&claims());
            assert_eq!(verdict(&verifier, &token), Ok(()), "{kind:?}");
            authority.revoke(kind, id);
            until_here("it is revoked", || verdict(&verifier, &token) == Err(Error::Revoked));
        }
    });
}

/// Whatever comes instead of a good answer, what was revoked stays revoked, and the next good answer is taken.
#[test]
fn a_bad_answer_changes_nothing() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        authority.revoke(RevokedBy::Jti, "of somebody else");
        authority.revoke(RevokedBy::Session, "5f1d");
        let told = Told::default();
        let verifier = build(told.listen(authority.builder()));
        verifier.ready_blocking(PATIENCE).unwrap();
        let published = authority.published();
        let good = published.claims(2);
        let mut rolled_back = good.clone();
        (rolled_back.seq, rolled_back.after) = (1, 0);
        let mut old = published.claims(0);
        (old.iat, old.exp) = (old.iat - 120, old.exp - 120);
        let mut foreign = good.clone();
        foreign.iss.push('/');
        let by_us = |claims| Answer::ok(published.signed(claims));
        let bad = [
            ("older than what is known", by_us(&rolled_back)),
            ("expired", by_us(&old)),
            ("of another issuer", by_us(&foreign)),
            ("not one of the feed's", Answer::ok(signed_by(&KEY, &published.claims(0)))),
            ("of another type", Answer::ok(KEY.token(&claims()))),
            ("32768 KiB", Answer::ok(vec![b'a'; 64 * 1024 * 1024])),
            (
                "status 302",
                Answer::with_head("302 Found\nlocation: /revocations/new", published.signed(&good)),
            ),
            ("status 503", Answer::unavailable()),
        ];
        drop(published);
        for (reason, answer) in bad {
            until_here("all is well", || last_error(&verifier).is_none());
            let requests = authority.issuer.targets().len();
            authority.published().instead.push_back(answer);
            until_here(reason, || told.of(reason) > 0);
            assert_eq!(position(&verifier), Some(Position { epoch: 5, seq: 2 }), "{reason}");
            assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::Revoked), "{reason}");
            assert_eq!(verdict(&verifier, &KEY.token(&with("sid", "another"))), Ok(()), "{reason}");
            until_here("it asks again, without waiting", || {
                let since = authority.issuer.targets().split_off(requests.saturating_sub(1));
                since.iter().any(|target| target.ends_with("&after=2&wait=0"))
            });
        }
        assert!(authority.issuer.targets().iter().all(|target| !target.contains("new")), "no redirect");
    });
}

#[test]
fn after_a_gap_everything_is_asked_for() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let told = Told::default();
        let verifier = build(told.listen(authority.builder()));
        verifier.ready_blocking(PATIENCE).unwrap();
        let mut published = authority.published();
        (0..3).for_each(|_| published.revoke(RevokedBy::Session, "5f1d"));
        let late = published.claims(2);
        let late = published.signed(&late);
        published.instead.push_back(Answer::ok(late));
        drop(published);
        let token = KEY.token(&claims());
        until_here("the session has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
        assert_eq!(told.of("ask for a snapshot"), 1);
        let snapshots = authority.issuer.targets().iter().filter(|target| *target == "/revocations").count();
        assert_eq!(snapshots, 2);
    });
}

#[test]
fn a_new_key_of_the_feed_is_fetched() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let verifier = build(authority.builder());
        verifier.ready_blocking(PATIENCE).unwrap();
        let mut published = authority.published();
        published.feed_keys = OTHER_KEY.jwks();
        published.signer = &OTHER_KEY;
        published.revoke(RevokedBy::Subject, "42");
        drop(published);
        let token = KEY.token(&claims());
        until_here("the user has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
        let fetched =
            || authority.issuer.targets().iter().filter(|target| *target == "/revocations/keys").count();
        assert_eq!(fetched(), 2);
    });
}

#[test]
fn a_leaked_key_of_the_feed_signs_nothing() {
    let authority = Authority::start();
    authority.published().feed_keys = JwkSet::new([&EC_KEY, &OTHER_KEY].map(|key| key.jwk.clone()).into());
    let told = Told::default();
    with_both_drivers(|build| {
        let verifier = build(told.listen(authority.builder()));
        verifier.ready_blocking(PATIENCE).unwrap();
        let mut published = authority.published();
        published.signer = &OTHER_KEY;
        published.revoke(RevokedBy::Kid, &EC_KEY.jwk.kid);
        let seq = published.records.len() as u64;
        let mut forged = published.claims(0);
        (forged.epoch, forged.records) = (6, String::new());
        drop(published);
        until_here("the leak is known", || position(&verifier) == Some(Position { epoch: 5, seq }));
        let refused = told.of("the key that signed the answer was revoked");
        authority.published().instead.push_back(Answer::ok(signed_by(&EC_KEY, &forged)));
        until_here("it is refused", || told.of("the key that signed the answer was revoked") > refused);
        assert_eq!(position(&verifier), Some(Position { epoch: 5, seq }));
        authority.published().signer = &EC_KEY;
        authority.published().records.clear();
    });
}

/// A database that was restored: its feed begins anew, and nobody is pardoned by that.
#[test]
fn a_new_epoch_pardons_nobody() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        authority.revoke(RevokedBy::Session, "5f1d");
        let verifier = build(authority.builder());
        verifier.ready_blocking(PATIENCE).unwrap();
        let mut published = authority.published();
        (published.epoch, published.salt) = (6, [9; 16]);
        published.records.clear();
        published.revoke(RevokedBy::Session, "another");
        let snapshot = published.claims(0);
        let snapshot = published.signed(&snapshot);
        published.instead.push_back(Answer::ok(snapshot));
        drop(published);
        until_here("it follows", || position(&verifier) == Some(Position { epoch: 6, seq: 1 }));
        for session in ["5f1d", "another"] {
            assert_eq!(
                verdict(&verifier, &KEY.token(&with("sid", session))),
                Err(Error::Revoked),
                "{session}"
            );
        }
    });
}

#[test]
fn the_access_token_is_for_the_feed_alone() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let feed = authority.feed().access_token(|| Some("secret".to_owned()));
        let verifier = build(authority.builder().revocations(feed));
        verifier.ready_blocking(PATIENCE).unwrap();
        until_here("it listens", || authority.issuer.targets().len() >= 4);
        for request in authority.issuer.requests() {
            let of_feed =
                request.starts_with("GET /revocations") && !request.starts_with("GET /revocations/keys");
            let has_token = request.to_ascii_lowercase().contains("\r\nauthorization: bearer secret\r\n");
            assert_eq!(has_token, of_feed, "{request}");
        }
    });
}

/// Nobody waits for a function that panics: the feed says what is missing, and is asked again.
#[test]
fn what_panics_ends_no_follower() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let feed = authority.feed().access_token(|| panic!("no token"));
        let verifier = build(authority.builder().revocations(feed).on_event(|_| panic!("an event")));
        assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()));
        let token = KEY.token(&claims());
        assert_eq!(verdict(&verifier, &OTHER_KEY.token(&claims())), Err(Error::KeyUnknown));
        authority.revoke(RevokedBy::Session, "5f1d");
        until_here("the session has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
    });
}

/// An issuer whose feed has never answered.
#[test]
fn before_the_first_answer_nobody_knows() {
    with_both_drivers(|build| {
        for (on_stale, then) in [
            (OnStale::AcceptUntilExp, Ok(Freshness::Unknown)),
            (OnStale::RejectAfter(Duration::from_secs(3_600)), Err(Error::RevocationsUnavailable)),
        ] {
            let authority = Authority::start();
            authority.published().feed_keys.keys.clear();
            let clock = TestClock::stopped();
            let feed = authority.feed().on_stale(on_stale);
            let verifier = build(authority.builder().revocations(feed).clock(clock.clone()));
            until_here("there are keys", || !verifier.status().keys.unavailable);
            let unknown = Error::RevocationsUnavailable;
            assert_eq!(verifier.ready_blocking(Duration::from_millis(50)), Err(unknown.clone()));
            let token = KEY.token(&claims());
            assert_eq!(verdict(&verifier, &token), Err(unknown.clone()));
            assert_eq!(unknown.status(), 503);
            let bad = OTHER_KEY.sign(&KEY.header().to_string(), claims().to_string());
            assert_eq!(verdict(&verifier, &bad), Err(Error::SignatureInvalid), "that much is known");
            clock.passed(30);
            let freshness = verifier.verify::<Value>(&token).map(|verified| verified.revocations);
            assert_eq!(freshness, then);
        }
    });
}

#[test]
fn when_the_feed_is_old_the_policy_decides() {
    with_both_drivers(|build| {
        let minute = Duration::from_secs(60);
        for (on_stale, accepted) in [(OnStale::AcceptUntilExp, true), (OnStale::RejectAfter(minute), false)] {
            let authority = Authority::start();
            authority.revoke(RevokedBy::Session, "ended");
            let clock = TestClock::stopped();
            let feed = authority.feed().on_stale(on_stale);
            let verifier = build(authority.builder().revocations(feed).clock(clock.clone()));
            verifier.ready_blocking(PATIENCE).unwrap();
            authority.issuer.answers(Answer::Hang);
            let (good, ended) = (KEY.token(&claims()), KEY.token(&with("sid", "ended")));
            assert_eq!(verdict(&verifier, &good), Ok(()));
            clock.passed(61);
            let freshness = verifier.verify::<Value>(&good).map(|verified| verified.revocations);
            match freshness {
                Ok(Freshness::Age(age)) => assert!(accepted && age > minute),
                other => assert!(!accepted && other == Err(Error::RevocationsUnavailable), "{other:?}"),
            }
            assert_eq!(verdict(&verifier, &ended), Err(Error::Revoked), "whatever the policy");
        }
    });
}
