//! The issuer for tests does what it says, and with it: what a verifier does over hours, in moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use attesto_verifier::testkit::{End, Fault, Issuer};
use attesto_verifier::{Error, Event, Feed, Freshness, OnStale, Verifier, VerifierBuilder};
use serde_json::{Value, json};

use crate::token::AUDIENCE;

const URL: &str = "https://auth.example";
const HOUR: Duration = Duration::from_secs(3_600);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

/// The verdict on a token that is minted now.
fn fresh(issuer: &Issuer, verifier: &Verifier) -> Result<(), Error> {
    verdict(verifier, &issuer.token("user-1").mint())
}

fn settled(issuer: &Issuer, builder: VerifierBuilder) -> Verifier {
    let verifier = builder.build_blocking().unwrap();
    issuer.settle_blocking();
    verifier
}

fn key_fetches(issuer: &Issuer) -> usize {
    issuer.requests().iter().filter(|url| url.ends_with("/.well-known/jwks.json")).count()
}

/// As if the issuer had signed with a key that nobody knows, without the work.
fn forged(good: &str, number: usize) -> String {
    let header = json!({"typ": "at+jwt", "alg": header_of(good)["alg"], "kid": format!("forged-{number}")});
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", attesto_token::base64url_encode(header.to_string()))
}

fn header_of(token: &str) -> Value {
    let (header, _) = token.split_once('.').unwrap();
    serde_json::from_slice(&attesto_token::base64url_decode(header).unwrap()).unwrap()
}

/// Waits for what other threads do without the issuer.
fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < secs(20), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_token_is_good_and_says_what_it_was_told() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let token =
        issuer.token("user-1").scope("orders:read orders:write").session("s-1").client("web").claim("x", 1);
    let good = verifier.verify::<Value>(&token.mint()).unwrap();
    let std = &good.std;
    assert_eq!((std.issuer(), std.subject()), (URL, "user-1"));
    assert!(std.audience().eq([AUDIENCE]));
    assert!(std.scope().eq(["orders:read", "orders:write"]));
    assert_eq!((std.sid(), std.client_id()), (Some("s-1"), "web"));
    assert_eq!((std.issued_at(), std.expires_at()), (issuer.now(), issuer.now() + 600));
    assert_eq!(good.claims["x"], 1);
    assert_eq!(*good.kid, *issuer.kid());
    assert_eq!(good.revocations, Freshness::Age(Duration::ZERO));
    let next = verifier.verify::<Value>(&issuer.token("user-1").mint()).unwrap();
    assert_ne!(next.std.jti(), std.jti());
}

#[test]
fn a_token_is_as_bad_as_it_was_told() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let token = || issuer.token("user-1");
    for (token, error) in [
        (token().expired(), Error::Expired),
        (token().bad_signature(), Error::SignatureInvalid),
        (token().foreign_key(), Error::KeyUnknown),
        (token().header("kid", "another"), Error::KeyUnknown),
        (token().header("alg", "none"), Error::AlgNotAllowed),
        (token().header("alg", "HS256"), Error::AlgNotAllowed),
        (token().header("typ", "rt+jwt"), Error::TypeMismatch),
        (token().header("crit", json!(["b64"])), Error::CritUnsupported),
        (token().audience("billing"), Error::AudienceMismatch),
        (token().claim("iss", "https://other.example"), Error::IssuerMismatch),
        (token().claim("iat", issuer.now() + 31), Error::IssuedInFuture),
        (token().claim("nbf", issuer.now() + 31), Error::NotYetValid),
        (token().claim("sub", 1), Error::ClaimInvalid("sub")),
        (token().without("client_id"), Error::ClaimMissing("client_id")),
    ] {
        assert_eq!(verdict(&verifier, &token.mint()), Err(error));
    }
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
}

#[test]
fn a_token_is_for_all_verifiers_of_its_issuer() {
    let (issuer, other) = (Issuer::new(URL), Issuer::new("http://other.example"));
    let (orders, billing) = (issuer.verifier(AUDIENCE), issuer.verifier("billing"));
    let elsewhere = other.verifier(AUDIENCE);
    let token = issuer.token("user-1").mint();
    assert_eq!((verdict(&orders, &token), verdict(&billing, &token)), (Ok(()), Ok(())));
    assert_eq!(verdict(&elsewhere, &token), Err(Error::KeyUnknown), "issuers share no keys");
    assert_eq!(fresh(&other, &elsewhere), Ok(()));
}

#[test]
fn each_end_ends_its_tokens_alone() {
    for (name, spares_others) in [
        ("session", true),
        ("user", true),
        ("client", true),
        ("token", true),
        ("key", false),
        ("everybody", false),
    ] {
        let issuer = Issuer::new(URL);
        let verifier = issuer.verifier(AUDIENCE);
        let token =
            |n| issuer.token(&format!("user-{n}")).client(&format!("client-{n}")).session(&format!("s-{n}"));
        let (ended, other) = (token(1).claim("jti", "t-1").mint(), token(2).mint());
        assert_eq!(verdict(&verifier, &ended), Ok(()), "{name}");
        let kid = issuer.kid();
        issuer.revoke(match name {
            "session" => End::Session("s-1"),
            "user" => End::User("user-1"),
            "client" => End::Client("client-1"),
            "token" => End::Token("t-1"),
            "key" => End::Key(&kid),
            _ => End::Everybody,
        });
        assert_eq!(verdict(&verifier, &ended), Err(Error::Revoked), "{name}");
        let others = if spares_others { Ok(()) } else { Err(Error::Revoked) };
        assert_eq!(verdict(&verifier, &other), others, "{name}");
        let late = issuer.verifier(AUDIENCE);
        assert_eq!(verdict(&late, &ended), Err(Error::Revoked), "{name}: it is in the snapshot");
    }
}

#[test]
fn a_new_sign_in_comes_a_second_after_the_end() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    issuer.revoke(End::User("user-1"));
    assert_eq!(fresh(&issuer, &verifier), Err(Error::Revoked));
    issuer.advance(secs(1));
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
}

#[test]
fn a_leaked_key_is_replaced() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let leaked = issuer.kid();
    issuer.rotate();
    issuer.revoke(End::Key(&leaked));
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    assert_eq!(
        verdict(&verifier, &issuer.token("user-1").header("kid", leaked).mint()),
        Err(Error::SignatureInvalid)
    );
}

#[test]
fn time_stands_still_until_it_is_moved() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let (token, now) = (issuer.token("user-1").mint(), issuer.now());
    issuer.advance(secs(629));
    assert_eq!((issuer.now(), verdict(&verifier, &token)), (now + 629, Ok(())));
    issuer.advance(secs(1));
    assert_eq!(verdict(&verifier, &token), Err(Error::Expired));
}

#[test]
fn a_rotation_is_known_when_it_is_done() {
    let issuer = Issuer::new(URL);
    let verifiers = [issuer.verifier(AUDIENCE), issuer.verifier(AUDIENCE)];
    let (old, old_kid) = (issuer.token("user-1").mint(), issuer.kid());
    issuer.rotate();
    assert_ne!(issuer.kid(), old_kid);
    for verifier in &verifiers {
        assert_eq!((fresh(&issuer, verifier), verdict(verifier, &old)), (Ok(()), Ok(())));
    }
    issuer.withdraw(&old_kid);
    assert_eq!(issuer.jwks().keys.len(), 1);
    for verifier in &verifiers {
        assert_eq!((fresh(&issuer, verifier), verdict(verifier, &old)), (Ok(()), Err(Error::KeyUnknown)));
    }
}

/// Behaviour 8: nobody was told.
#[test]
fn a_rotation_that_takes_a_verifier_by_surprise_is_met_by_its_first_token() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    issuer.fail(Fault::Down);
    issuer.rotate();
    issuer.recover();
    let (token, before) = (issuer.token("user-1").mint(), key_fetches(&issuer));
    assert_eq!(verifier.verify_blocking::<Value>(&token).map(drop), Ok(()));
    assert_eq!(key_fetches(&issuer), before + 1);
}

/// Behaviour 11.
#[test]
fn a_withdrawn_key_is_refused_after_the_next_refresh() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let old = issuer.kid();
    issuer.rotate();
    issuer.fail(Fault::Down);
    issuer.withdraw(&old);
    issuer.recover();
    let keys = || verifier.status().keys.kids.len();
    // A refresh comes after 480 seconds at the earliest, and after 600 at the latest.
    issuer.advance(secs(479));
    assert_eq!(keys(), 2);
    issuer.advance(secs(121));
    assert_eq!(keys(), 1);
    assert_eq!(verdict(&verifier, &issuer.token("user-1").header("kid", old).mint()), Err(Error::KeyUnknown));
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
}

/// Behaviour 9.
#[test]
fn forged_kids_cause_few_fetches_and_delay_nobody() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    let good = issuer.token("user-1").mint();
    let before = key_fetches(&issuer);
    for step in 0..1_000 {
        for number in 0..10 {
            assert_eq!(verdict(&verifier, &forged(&good, 10 * step + number)), Err(Error::KeyUnknown));
        }
        assert_eq!(verdict(&verifier, &good), Ok(()));
        issuer.advance(Duration::from_millis(60));
    }
    let fetches = key_fetches(&issuer) - before;
    assert!((1..=7).contains(&fetches), "{fetches} fetches");
}

/// Other issuers take over keys that nobody uses any more.
#[test]
fn a_withdrawn_key_never_comes_back() {
    let issuer = Issuer::new(URL);
    let mut kids = vec![issuer.kid()];
    for _ in 0..4 {
        issuer.rotate();
        issuer.withdraw(kids.last().unwrap());
        assert!(!kids.contains(&issuer.kid()));
        kids.push(issuer.kid());
    }
}

/// Behaviour 10.
#[test]
fn forged_kids_hide_a_rotation_for_no_longer_than_the_gap() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    assert_eq!(verdict(&verifier, &forged(&issuer.token("user-1").mint(), 1)), Err(Error::KeyUnknown));
    issuer.settle_blocking();
    issuer.fail(Fault::Down);
    issuer.rotate();
    issuer.recover();
    let token = issuer.token("user-1").mint();
    assert_eq!(verdict(&verifier, &token), Err(Error::KeyUnknown));
    issuer.advance(secs(9));
    assert_eq!(verdict(&verifier, &token), Err(Error::KeyUnknown));
    issuer.advance(secs(1));
    assert_eq!(verdict(&verifier, &token), Ok(()));
}

#[test]
fn six_hours_without_the_issuer_and_no_storm_afterwards() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    // Both keys are known: this one stays published.
    let far = issuer.now() + 7 * 3_600;
    let of_old_key = issuer.token("user-1").claim("exp", far).mint();
    issuer.rotate();
    issuer.fail(Fault::Down);
    for _ in 0..6 {
        let before = key_fetches(&issuer);
        issuer.advance(HOUR);
        let fetches = key_fetches(&issuer) - before;
        assert!((40..=80).contains(&fetches), "{fetches} fetches in an hour");
        assert_eq!((fresh(&issuer, &verifier), verdict(&verifier, &of_old_key)), (Ok(()), Ok(())));
    }
    issuer.recover();
    let (all, keys) = (issuer.requests().len(), key_fetches(&issuer));
    issuer.advance(secs(60));
    assert_eq!(key_fetches(&issuer) - keys, 1);
    // The feed: its keys, a first answer, and polls of 25 seconds.
    assert!(issuer.requests().len() - all <= 8, "{:?}", &issuer.requests()[all..]);
    issuer.advance(secs(420));
    assert_eq!(key_fetches(&issuer) - keys, 1);
    assert_eq!(verifier.status().keys.last_error, None);
    assert_eq!(verifier.status().revocations.unwrap().last_error, None);
}

/// Behaviours 6 and 7.
#[test]
fn keys_that_are_too_old_are_the_fault_of_no_token() {
    for (max_stale, serves) in [(HOUR, 3_599), (Duration::ZERO, 599)] {
        let issuer = Issuer::new(URL);
        let verifier = settled(&issuer, issuer.builder(AUDIENCE).max_stale(max_stale));
        issuer.fail(Fault::Down);
        issuer.advance(secs(serves));
        assert_eq!(fresh(&issuer, &verifier), Ok(()));
        issuer.advance(secs(1));
        let error = fresh(&issuer, &verifier).unwrap_err();
        assert_eq!(error, Error::KeysUnavailable);
        assert_eq!((error.status(), error.rfc6750(), error.www_authenticate("orders")), (503, None, None));
        assert_eq!(verdict(&verifier, "rubbish"), Err(Error::KeysUnavailable), "never a 401");
        assert!(verifier.status().keys.unavailable);
        issuer.recover();
        issuer.advance(secs(60));
        assert_eq!(fresh(&issuer, &verifier), Ok(()));
    }
}

#[test]
#[should_panic = "make the verifier before the token"]
fn a_token_is_for_somebody() {
    let _ = Issuer::new(URL).token("user-1").mint();
}

/// Behaviour 45.
#[test]
fn a_service_chooses_what_an_old_feed_means() {
    let issuer = Issuer::new(URL);
    let lenient = issuer.verifier(AUDIENCE);
    let feed = Feed::new().on_stale(OnStale::RejectAfter(secs(60)));
    let strict = settled(&issuer, issuer.builder(AUDIENCE).revocations(feed));
    issuer.fail(Fault::Down);
    issuer.revoke(End::User("user-2"));
    issuer.advance(secs(60));
    assert_eq!((fresh(&issuer, &lenient), fresh(&issuer, &strict)), (Ok(()), Ok(())));
    issuer.advance(secs(1));
    let error = fresh(&issuer, &strict).unwrap_err();
    assert_eq!((error.status(), error), (503, Error::RevocationsUnavailable));
    let ready = |verifier: &Verifier| verifier.ready_blocking(Duration::ZERO);
    assert_eq!((ready(&lenient), ready(&strict)), (Ok(()), Err(Error::RevocationsUnavailable)));
    let good = lenient.verify::<Value>(&issuer.token("user-1").mint()).unwrap();
    assert_eq!(good.revocations, Freshness::Age(secs(61)));
    let ended = issuer.token("user-2").claim("iat", issuer.now() - 61).mint();
    assert_eq!(verdict(&lenient, &ended), Ok(()), "it cannot know");
    issuer.recover();
    issuer.advance(secs(30));
    assert_eq!((fresh(&issuer, &lenient), fresh(&issuer, &strict)), (Ok(()), Ok(())));
    for verifier in [lenient, strict] {
        assert_eq!(verdict(&verifier, &ended), Err(Error::Revoked));
    }
}

#[test]
fn a_verifier_that_has_never_heard_of_the_feed_waits_for_half_a_minute() {
    let issuer = Issuer::new(URL);
    let jwks = serde_json::to_string(&issuer.jwks()).unwrap();
    issuer.fail(Fault::Down);
    let verifier = settled(&issuer, issuer.builder(AUDIENCE).seed_jwks(jwks));
    assert_eq!(fresh(&issuer, &verifier), Err(Error::RevocationsUnavailable));
    assert_eq!(verifier.ready_blocking(Duration::ZERO), Err(Error::RevocationsUnavailable));
    issuer.advance(secs(30));
    assert_eq!(verifier.ready_blocking(Duration::ZERO), Ok(()));
    assert_eq!(verifier.verify::<Value>(&issuer.token("u").mint()).unwrap().revocations, Freshness::Unknown);
}

/// Behaviour 5.
#[test]
fn rubbish_changes_nothing() {
    for (fault, of_keys, of_feed) in [
        (Fault::Down, "refused", "refused"),
        (Fault::Hang, "timed out after 5 s", "timed out after 35 s"),
        (Fault::Page, "not a JWK Set", "compact JWS"),
        (Fault::ServerError, "status 500", "status 500"),
        (Fault::Cut, "not a JWK Set", "compact JWS"),
        (Fault::Empty, "no usable key", "compact JWS"),
        (Fault::Huge, "larger than 256 KiB", "larger than 32768 KiB"),
    ] {
        let issuer = Issuer::new(URL);
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reasons);
        let builder = issuer.builder(AUDIENCE).on_event(move |event| match event {
            Event::KeysRefreshFailed { reason, .. } => {
                heard.lock().unwrap().push(("keys", (*reason).to_owned()));
            }
            Event::RevocationsFailed { reason, .. } => {
                heard.lock().unwrap().push(("feed", (*reason).to_owned()));
            }
            _ => {}
        });
        let verifier = settled(&issuer, builder);
        issuer.fail(fault);
        issuer.advance(secs(640));
        let status = verifier.status();
        assert!(
            status.keys.last_error.is_some() && status.revocations.unwrap().last_error.is_some(),
            "{fault:?}"
        );
        for (of, part) in [("keys", of_keys), ("feed", of_feed)] {
            let reasons = reasons.lock().unwrap();
            assert!(
                reasons.iter().any(|(by, why)| *by == of && why.contains(part)),
                "{fault:?}: {reasons:?}"
            );
        }
        assert_eq!(fresh(&issuer, &verifier), Ok(()), "{fault:?}");
        issuer.recover();
        issuer.advance(secs(60));
        let status = verifier.status();
        assert_eq!(
            (status.keys.last_error, status.revocations.unwrap().last_error),
            (None, None),
            "{fault:?}"
        );
        assert_eq!(fresh(&issuer, &verifier), Ok(()), "{fault:?}");
    }
}

#[test]
fn a_hanging_issuer_keeps_nobody_waiting() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.verifier(AUDIENCE);
    issuer.fail(Fault::Hang);
    issuer.advance(secs(600));
    for _ in 0..1_000 {
        assert_eq!(fresh(&issuer, &verifier), Ok(()));
    }
    issuer.recover();
    issuer.advance(secs(60));
    issuer.revoke(End::User("user-1"));
    assert_eq!(fresh(&issuer, &verifier), Err(Error::Revoked));
}

#[test]
fn a_clock_that_goes_wrong_is_noticed() {
    let issuer = Issuer::new(URL);
    let skews = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&skews);
    let builder = issuer.builder(AUDIENCE).on_event(move |event| {
        if let Event::ClockSkew { seconds } = event {
            seen.lock().unwrap().push(*seconds);
        }
    });
    let verifier = settled(&issuer, builder);
    issuer.skew(5);
    assert_eq!((verifier.status().clock_skew, skews.lock().unwrap().len()), (Some(-5), 0));
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    issuer.skew(6);
    assert_eq!(*skews.lock().unwrap(), [-6]);
    issuer.skew(-31);
    assert_eq!((verifier.status().clock_skew, skews.lock().unwrap().len()), (Some(31), 1));
    assert_eq!(fresh(&issuer, &verifier), Err(Error::IssuedInFuture));
    issuer.skew(0);
    assert_eq!((verifier.status().clock_skew, fresh(&issuer, &verifier)), (Some(0), Ok(())));
}

/// A file that goes with the test.
struct StateFile(PathBuf);

impl StateFile {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("attesto-testkit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Self(folder.join("state.json"))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn a_restart_while_the_issuer_is_down_has_keys_and_revocations() {
    let file = StateFile::new("restart");
    let issuer = Issuer::new(URL);
    let start = || settled(&issuer, issuer.builder(AUDIENCE).state_file(file.path()));
    let verifier = start();
    let token = issuer.token("user-1").mint();
    issuer.revoke(End::Session("session"));
    assert_eq!(verdict(&verifier, &token), Err(Error::Revoked));
    drop(verifier);
    let kept = |part: &str| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        let saved: Value = serde_json::from_str(&text).unwrap_or_default();
        saved[part].is_object() && saved["feed"]["epochs"][0]["seq"] == 1
    };
    until("it is written", || kept("keys") && kept("feed"));

    issuer.fail(Fault::Down);
    let verifier = start();
    assert_eq!(verdict(&verifier, &token), Err(Error::Revoked));
    assert_eq!(verdict(&verifier, &issuer.token("user-2").session("another").mint()), Ok(()));
    issuer.advance(23 * HOUR);
    assert_eq!(verdict(&verifier, &issuer.token("user-2").session("another").mint()), Ok(()));
    issuer.advance(HOUR);
    assert_eq!(fresh(&issuer, &verifier), Err(Error::KeysUnavailable), "what was kept grows old as well");
}

#[test]
fn the_issuer_has_metadata_and_knows_what_has_not_changed() {
    let issuer = Issuer::new(URL);
    let verifier = settled(&issuer, issuer.builder(AUDIENCE).discover());
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    assert!(issuer.requests().contains(&format!("{URL}/.well-known/oauth-authorization-server")));
    issuer.advance(secs(600));
    assert!(verifier.status().keys.age.unwrap() <= secs(120), "a 304 renews them");
    let elsewhere = settled(&issuer, issuer.builder(AUDIENCE).jwks_url(format!("{URL}/elsewhere")));
    assert!(elsewhere.status().keys.last_error.unwrap().contains("404"));
}

/// Behaviour 14, with a poll of the feed under way that would go on for half a minute.
#[test]
fn threads_end_with_the_last_verifier() {
    let issuer = Issuer::new(URL);
    let alive = Arc::new(());
    let (held, seen) = (Arc::clone(&alive), Arc::downgrade(&alive));
    let verifier = settled(&issuer, issuer.builder(AUDIENCE).on_event(move |_| drop(Arc::clone(&held))));
    drop(alive);
    assert!(seen.upgrade().is_some());
    drop(verifier);
    until("the threads are gone", || seen.upgrade().is_none());
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_verifier_in_tasks_is_waited_for_without_blocking() {
    let issuer = Issuer::new(URL);
    let verifier = issuer.builder(AUDIENCE).build().unwrap();
    issuer.settle().await;
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    let old = issuer.kid();
    issuer.rotate();
    issuer.withdraw(&old);
    issuer.settle().await;
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    assert_eq!(*verifier.status().keys.kids[0], *issuer.kid());
    issuer.revoke(End::User("user-1"));
    issuer.settle().await;
    assert_eq!(fresh(&issuer, &verifier), Err(Error::Revoked));
    issuer.advance(secs(600));
    issuer.settle().await;
    assert_eq!(verifier.status().keys.age, Some(Duration::ZERO));
    assert_eq!(fresh(&issuer, &verifier), Ok(()));
    issuer.fail(Fault::Down);
    issuer.settle().await;
    assert!(verifier.status().revocations.unwrap().last_error.unwrap().contains("refused"));
    issuer.recover();
    issuer.advance(secs(30));
    issuer.settle().await;
    assert_eq!(verifier.status().revocations.unwrap().last_error, None);
}
