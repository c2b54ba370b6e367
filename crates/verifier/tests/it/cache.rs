//! Remembered verdicts: a token that was good is good only as long as everything is as it was.

use std::time::Duration;

use attesto_token::feed::RevokedBy;
use attesto_verifier::{Error, Verifier};
use serde_json::Value;

use crate::issuer::{Authority, PATIENCE, TestClock, until_here, with_both_drivers};
use crate::token::{KEY, NOW, OTHER_KEY, builder, claims, with};

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

#[test]
fn a_remembered_token_dies_when_it_is_revoked() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let verifier = build(authority.builder().token_cache(16));
        verifier.ready_blocking(PATIENCE).unwrap();
        let (ended, other) = (KEY.token(&claims()), KEY.token(&with("sid", "another")));
        for token in [&ended, &ended, &other, &other] {
            assert_eq!(verdict(&verifier, token), Ok(()));
        }
        authority.revoke(RevokedBy::Session, "5f1d");
        until_here("the session has ended", || verdict(&verifier, &ended) == Err(Error::Revoked));
        assert_eq!(verdict(&verifier, &ended), Err(Error::Revoked), "nor is it remembered again");
        assert_eq!(verdict(&verifier, &other), Ok(()));
    });
}

#[test]
fn a_remembered_token_dies_with_its_key() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        let verifier = build(authority.builder().token_cache(16));
        verifier.ready_blocking(PATIENCE).unwrap();
        let token = KEY.token(&claims());
        assert_eq!((verdict(&verifier, &token), verdict(&verifier, &token)), (Ok(()), Ok(())));
        authority.published().token_keys = OTHER_KEY.jwks();
        verifier.refresh_now_blocking().unwrap();
        assert_eq!(verdict(&verifier, &token), Err(Error::KeyUnknown));
    });
}

/// Also where another key took the place and the name of the one before.
#[test]
fn a_remembered_token_dies_with_the_material_of_its_key() {
    let verifier = builder().token_cache(16).build_offline(&KEY.jwks()).unwrap();
    let token = KEY.token(&claims());
    assert_eq!((verdict(&verifier, &token), verdict(&verifier, &token)), (Ok(()), Ok(())));
    let mut twin = OTHER_KEY.jwks();
    twin.keys[0].kid.clone_from(&KEY.jwk.kid);
    verifier.replace_keys(&twin).unwrap();
    assert_eq!(verdict(&verifier, &token), Err(Error::SignatureInvalid));
}

#[test]
fn a_remembered_token_dies_in_time() {
    let clock = TestClock::new();
    let verifier = builder()
        .clock(clock.clone())
        .leeway(Duration::ZERO)
        .token_cache(16)
        .build_offline(&KEY.jwks())
        .unwrap();
    let token = KEY.token(&with("exp", NOW + 10));
    assert_eq!((verdict(&verifier, &token), verdict(&verifier, &token)), (Ok(()), Ok(())));
    let clock = clock.later(9);
    assert_eq!(verdict(&verifier, &token), Ok(()));
    let _ = clock.later(1);
    assert_eq!(verdict(&verifier, &token), Err(Error::Expired));
}

/// One place for all: whatever displaces whatever, each token gets its own claims.
#[test]
fn tokens_that_displace_each_other_are_not_mixed_up() {
    let verifier = builder().token_cache(1).build_offline(&KEY.jwks()).unwrap();
    let tokens = ["one", "two", "three"].map(|user| (user, KEY.token(&with("sub", user))));
    for (user, token) in tokens.iter().cycle().take(9).chain(tokens.iter().flat_map(|token| [token, token])) {
        let token = verifier.verify::<Value>(token).unwrap();
        assert_eq!((token.std.subject(), &token.claims["sub"]), (*user, &Value::from(*user)));
    }
}
