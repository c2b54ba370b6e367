//! What guards go by is written before the first token that needs it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attesto_core::{Instant, KeyRefusal, KeyState, KeyStep};
use attesto_keyring::{Signer, Signing};
use attesto_store::Store;
use attesto_token::{Jwk, base64url_decode};
use serde_json::Value;

use crate::fixture::{Authority, BUSY, DAY, MILLISECOND, Mode, NOW, RS256, SECOND, Switch, claims, kid_of};

/// What the store knows of a key, in milliseconds.
fn latest_exp(authority: &Authority, kid: &str) -> i64 {
    let query = format!("SELECT latest_exp FROM key_uses WHERE kid = '{kid}'");
    authority.folder.number(&query).unwrap()
}

#[track_caller]
fn is_covered(authority: &Authority, access: &str) {
    let exp = claims(access)["exp"].as_i64().unwrap() * 1000;
    let latest_exp = latest_exp(authority, &kid_of(access));
    assert!(exp <= latest_exp, "{exp} is later than {latest_exp}");
}

#[actix_web::test]
async fn no_token_expires_after_what_the_store_knew_when_it_was_given_out() {
    let authority = Authority::new().await;
    let mut known = 0;
    let mut only_rises = |now: i64| {
        assert!(now >= known);
        known = now;
    };
    for step in [0, 1, 7, 599, 600, 601, 3, 1199, 1201, 86_400, 59, 2 * 86_400, 13, 400] {
        authority.clock.advance(Duration::from_millis(step * 1000 + 137));
        let pair = authority.sign_in().await;
        is_covered(&authority, &pair.access);
        let mut refresh = pair.refresh;
        for seconds in [0, 2, 250, 601, 1900, 5] {
            authority.clock.advance(Duration::from_secs(seconds));
            let next = authority.refresh(&refresh).await.pair();
            is_covered(&authority, &next.access);
            is_covered(&authority, &authority.refresh(&refresh).await.pair().access);
            refresh = next.refresh;
        }
        only_rises(latest_exp(&authority, &authority.kid().await));
        if step % 2 == 1 {
            authority.clock.set_back(3600 * SECOND);
            is_covered(&authority, &authority.sign_in().await.access);
            only_rises(latest_exp(&authority, &authority.kid().await));
        }
    }
}

/// Looks into the database at the moment of each signature.
struct Watched {
    key: Arc<dyn Signer>,
    watch: Watch,
}

#[derive(Clone, Default)]
struct Watch {
    store: Arc<Mutex<Option<Store>>>,
    seen: Arc<Mutex<usize>>,
}

impl Signer for Watched {
    fn public_jwk(&self) -> &Jwk {
        self.key.public_jwk()
    }

    fn sign<'a>(&'a self, signing_input: &'a [u8]) -> Signing<'a> {
        Box::pin(async move {
            let claims = std::str::from_utf8(signing_input).unwrap().split_once('.').unwrap().1;
            let claims: Value = serde_json::from_slice(&base64url_decode(claims).unwrap()).unwrap();
            let store = self.watch.store.lock().unwrap().clone();
            if let Some(store) = store.filter(|_| claims["token_type"] == "access") {
                let facts = store.read(|tx| tx.find_key_facts()).await.unwrap();
                let known = facts.of(&self.public_jwk().kid).latest_exp.expect("known before it is signed");
                assert!(claims["exp"].as_i64().unwrap() <= known.seconds());
                *self.watch.seen.lock().unwrap() += 1;
            }
            self.key.sign(signing_input).await
        })
    }
}

#[actix_web::test]
async fn the_store_knows_before_the_signature_is_made() {
    let watch = Watch::default();
    let layer = watch.clone();
    let authority =
        Authority::with_signers("", Arc::new(move |key| Arc::new(Watched { key, watch: layer.clone() })))
            .await;
    *watch.store.lock().unwrap() = Some(authority.store.clone());
    for _ in 0..3 {
        let pair = authority.sign_in().await;
        authority.clock.advance(700 * SECOND);
        let next = authority.refresh(&pair.refresh).await.pair();
        authority.clock.advance(1300 * SECOND);
        authority.refresh(&next.refresh).await.pair();
        authority.rotated(RS256).await;
    }
    assert_eq!(*watch.seen.lock().unwrap(), 9);
}

#[actix_web::test]
async fn what_is_never_signed_is_known_as_well() {
    let switch = Switch::new(Mode::Healthy);
    let authority = Authority::with_signers("", switch.layer()).await;
    let pair = authority.sign_in().await;
    authority.clock.advance(DAY);
    switch.set(Mode::Hanging);
    authority.refresh(&pair.refresh).await.is(503, BUSY);
    let exp = (authority.clock.now() + 600 * SECOND).as_millis();
    assert!(latest_exp(&authority, &kid_of(&pair.access)) >= exp, "as if it had crashed after signing");
}

#[actix_web::test]
async fn a_lifetime_of_tokens_costs_a_handful_of_writes() {
    let authority = Authority::with("simplejwt_rotates = false").await;
    authority.folder.list_updates("key_uses", "signatures", "raises");
    let refresh = authority.sign_in().await.refresh;
    for _ in 0..500 {
        authority.clock.advance(Duration::from_millis(1200));
        let access = authority.refresh(&refresh).await.json()["access"].as_str().unwrap().to_owned();
        is_covered(&authority, &access);
    }
    let raises = authority.folder.number("SELECT COUNT(*) FROM raises").unwrap();
    assert!((1..=3).contains(&raises), "{raises} writes for 501 tokens");
}

const LONG: &str = "access_token_lifetime = \"1h\"\nrefresh_absolute_lifetime = \"60d\"\njwks_max_age = \"1h\"\n\
                    jwks_stale_while_revalidate = \"30m\"\n";

#[actix_web::test]
async fn bounds_are_raised_at_the_start_and_never_lowered() {
    let bounds = |authority: &Authority| {
        ["access", "refresh", "jwks"].map(|what| {
            let query = format!("SELECT longest_{what}_lifetime / 1000 FROM authority");
            authority.folder.number(&query).unwrap()
        })
    };
    let authority = Authority::new().await;
    assert_eq!(bounds(&authority), [600, 30 * 86_400, 600]);
    let authority = authority.restarted_with(LONG).await;
    assert_eq!(bounds(&authority), [3600, 60 * 86_400, 5400]);
    for smaller in [
        "",
        "access_token_lifetime = \"1s\"\nrefresh_idle_lifetime = \"1s\"\nrefresh_absolute_lifetime = \"1s\"\n",
    ] {
        let authority = Authority::open(restarted_once(LONG, smaller).await).await;
        assert_eq!(bounds(&authority), [3600, 60 * 86_400, 5400], "{smaller}");
    }
}

/// A folder that was started with one configuration, and has another now.
async fn restarted_once(first: &str, then: &str) -> crate::fixture::Folder {
    let mut folder = Authority::with(first).await.into_folder().await;
    folder.configure(then);
    folder
}

#[actix_web::test]
async fn a_staged_key_waits_for_the_longest_set_that_was_ever_served() {
    let authority = Authority::open(restarted_once(LONG, "").await).await;
    let set = authority.jwks().await;
    assert!(set.header("cache-control").starts_with("public, max-age=300, "));
    let kid = authority.key(RS256, KeyState::Staged).await;
    let until = NOW + (10 + 5400 + 600 + 60) * SECOND;
    authority.clock.advance_to(until - MILLISECOND);
    let refused = authority.rotate(RS256).await.unwrap_err();
    assert_eq!(refused, KeyRefusal::TooEarly { kid, step: KeyStep::Promote, until });
    authority.clock.advance(MILLISECOND);
    authority.rotate(RS256).await.unwrap();
}

#[actix_web::test]
async fn a_retiring_key_waits_for_the_longest_token_it_signed_under_any_setting() {
    let authority = Authority::with(LONG).await;
    authority.clock.advance(DAY);
    let long_lived = authority.sign_in().await.access;
    let authority = authority.restarted_with("access_token_lifetime = \"1m\"\n").await;
    authority.sign_in().await;
    let (old, _) = authority.rotated(RS256).await;
    assert_eq!(old, kid_of(&long_lived));
    let exp = claims(&long_lived)["exp"].as_i64().unwrap();
    authority.clock.advance_to(Instant::from_seconds(exp));
    match authority.retire(&old).await.unwrap_err() {
        KeyRefusal::TooEarly { until, .. } => assert!(until.seconds() >= exp + 310),
        other => panic!("{other:?}"),
    }
}
