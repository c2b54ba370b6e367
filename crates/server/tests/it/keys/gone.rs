//! What a key signed outlives the key's place in the JWK Set, its private half and its row's state.

use std::sync::Arc;

use attesto_core::{Instant, KeyState};
use attesto_keyring::{Signer, sign_jws};
use attesto_token::typ;
use serde_json::json;

use crate::fixture::{Authority, DAY, EMPTY, EXPIRED, INVALID, MILLISECOND, RS256, SECOND, claims, kid_of};

/// How long a refresh token lives that is never renewed.
const KEPT: &str = "simplejwt_rotates = false\n";

/// Confirmation and verifiers' caches, by which a withdrawal comes after the last access token.
const CACHED: std::time::Duration = std::time::Duration::from_secs(300 + 10);

/// The old key goes the whole way. Gives when it stopped signing.
async fn withdraw(authority: &Authority, kid: &str) -> Instant {
    let row = authority.row(kid).await;
    let demoted_at = row.demoted_at.unwrap();
    let latest_exp = authority.read(|tx| tx.find_key_facts()).await.of(kid).latest_exp.unwrap();
    authority.clock.advance_to(latest_exp.max(demoted_at) + CACHED);
    authority.retire(kid).await.unwrap();
    authority.follows().await;
    demoted_at
}

#[actix_web::test]
async fn a_refresh_token_counts_for_as_long_as_it_lives_whatever_became_of_its_key() {
    let authority = Authority::with(KEPT).await;
    authority.clock.advance(2 * DAY);
    let pair = authority.sign_in().await;
    let signed_at = authority.clock.now();
    let (old, new) = authority.rotated(RS256).await;
    assert_eq!(kid_of(&pair.refresh), old);
    let refreshes = async |authority: &Authority| {
        let answer = authority.refresh(&pair.refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(kid_of(answer.json()["access"].as_str().unwrap()), new);
    };

    refreshes(&authority).await;
    authority.verify(&pair.access).await.is(200, EMPTY);
    authority.clock.advance_to(signed_at + 600 * SECOND);
    authority.verify(&pair.access).await.is(401, EXPIRED);

    withdraw(&authority, &old).await;
    assert_eq!(authority.row(&old).await.state, KeyState::Retired);
    refreshes(&authority).await;
    authority.clock.advance(10 * SECOND);
    authority.destroy(&old).await.unwrap();
    let row = authority.row(&old).await;
    assert_eq!((row.state, row.sealed_private_key), (KeyState::Destroyed, None));
    for _ in 0..4 {
        authority.clock.advance(6 * DAY);
        refreshes(&authority).await;
    }
    authority.clock.advance_to(signed_at + 30 * DAY - SECOND);
    // What a server needs is decided when it loads the keys.
    let authority = authority.restarted().await;
    refreshes(&authority).await;
    authority.clock.advance(SECOND);
    authority.refresh(&pair.refresh).await.is(401, EXPIRED);
}

#[actix_web::test]
async fn once_no_refresh_token_can_be_left_a_key_is_forgotten() {
    let authority = Authority::with(KEPT).await;
    let old: Arc<dyn Signer> = authority.signer().await;
    let kid = old.public_jwk().kid.clone();
    let pair = authority.sign_in().await;
    authority.rotated(RS256).await;
    let demoted_at = withdraw(&authority, &kid).await;
    authority.clock.advance(10 * SECOND);
    authority.destroy(&kid).await.unwrap();

    // It says itself that it lives longer than any.
    let mut claims = claims(&pair.refresh);
    claims.insert("exp".into(), json!((demoted_at + 100 * DAY).seconds()));
    let odd = sign_jws(old.as_ref(), typ::REFRESH, &claims).await.unwrap();
    let needed_until = demoted_at + 30 * DAY + 10 * SECOND;
    authority.clock.advance_to(needed_until - MILLISECOND);
    // A later start with shorter lifetimes changes nothing about tokens that are out there.
    let authority = authority
        .restarted_with("refresh_idle_lifetime = \"1d\"\nrefresh_absolute_lifetime = \"1d\"\n")
        .await;
    authority.refresh(&odd).await.is(401, EXPIRED);
    authority.clock.advance(MILLISECOND);
    let authority = authority.restarted().await;
    authority.refresh(&odd).await.is(401, INVALID);
}

#[actix_web::test]
async fn a_running_server_forgets_with_the_next_change_of_keys() {
    let authority = Authority::new().await;
    let old: Arc<dyn Signer> = authority.signer().await;
    let pair = authority.sign_in().await;
    let (kid, _) = authority.rotated(RS256).await;
    let demoted_at = withdraw(&authority, &kid).await;
    let mut claims = claims(&pair.refresh);
    claims.insert("exp".into(), json!((demoted_at + 100 * DAY).seconds()));
    let odd = sign_jws(old.as_ref(), typ::REFRESH, &claims).await.unwrap();
    authority.clock.advance_to(demoted_at + 31 * DAY);
    authority.refresh(&odd).await.is(401, EXPIRED);
    authority.rotated(RS256).await;
    authority.refresh(&odd).await.is(401, INVALID);
}
