//! A verifier without any runtime: in threads, by ureq.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use attesto_token::feed::RevokedBy;
use attesto_verifier::{Error, Verifier};
use serde_json::{Value, json};

use crate::issuer::{Answer, Authority, Issuer, PATIENCE, has_fetched, until_here};
use crate::token::{KEY, OTHER_KEY, claims};

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

#[test]
fn no_runtime_is_needed() {
    let authority = Authority::start();
    let verifier = authority.builder().build_blocking().unwrap();
    assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()));
    let token = KEY.token(&claims());
    assert_eq!(verifier.verify_blocking::<Value>(&token).map(drop), Ok(()));
    authority.published().token_keys = OTHER_KEY.jwks();
    assert_eq!(verifier.refresh_now_blocking(), Ok(()));
    assert_eq!(verdict(&verifier, &token), Err(Error::KeyUnknown), "withdrawn");
    authority.revoke(RevokedBy::Session, "5f1d");
    let token = OTHER_KEY.token(&claims());
    until_here("the session has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
}

#[test]
fn a_rotation_costs_one_fetch_however_many_threads_wait() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier =
        issuer.builder().unknown_kid(Duration::from_secs(3_600), PATIENCE).build_blocking().unwrap();
    until_here("the first fetch is over", || has_fetched(&verifier));
    let (begun, released) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let (release, answer) = (Arc::clone(&released), Answer::keys(&OTHER_KEY.jwks()));
    issuer.serves(move |_| if release.load(Ordering::SeqCst) { answer.clone() } else { Answer::Later });
    let new = OTHER_KEY.token(&claims());
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let call = || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    verifier.verify_blocking::<Value>(&new).map(drop)
                };
                thread::Builder::new().stack_size(512 * 1024).spawn_scoped(scope, call).unwrap()
            })
            .collect();
        until_here("all of them ask", || {
            begun.load(Ordering::SeqCst) == CALLERS && issuer.targets().len() == 2
        });
        released.store(true, Ordering::SeqCst);
        assert!(callers.into_iter().all(|caller| caller.join().unwrap() == Ok(())));
    });
    assert_eq!(issuer.targets().len(), 2);
}

/// Threads: as many as start within the five seconds of a fetch on any machine.
const CALLERS: usize = 200;

/// Neither is a forged token worth a wait when no fetch is near, nor is a wait without end an overflow.
#[test]
fn who_waits_does_so_for_a_fetch_alone() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    for wait in [2 * PATIENCE, Duration::MAX] {
        let verifier =
            issuer.builder().unknown_kid(Duration::from_secs(86_400), wait).build_blocking().unwrap();
        verifier.ready_blocking(Duration::MAX).unwrap();
        let mut header = KEY.header();
        header["kid"] = json!("forged");
        let forged = OTHER_KEY.sign(&header.to_string(), claims().to_string());
        let started = Instant::now();
        // The first one waits for its fetch. The next is the refresh, in about ten minutes.
        for _ in 0..if wait == Duration::MAX { 1 } else { 3 } {
            assert_eq!(verifier.verify_blocking::<Value>(&forged).map(drop), Err(Error::KeyUnknown));
        }
        assert!(started.elapsed() < PATIENCE);
    }
}

#[test]
fn a_failed_fetch_ends_the_wait() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier =
        issuer.builder().unknown_kid(Duration::from_secs(10), 10 * PATIENCE).build_blocking().unwrap();
    verifier.ready_blocking(PATIENCE).unwrap();
    issuer.answers(Answer::unavailable());
    let started = Instant::now();
    let new = OTHER_KEY.token(&claims());
    assert_eq!(verifier.verify_blocking::<Value>(&new).map(drop), Err(Error::KeyUnknown));
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(verifier.refresh_now_blocking(), Err(Error::KeysUnavailable));
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()), "the old keys serve on");
}
