//! What the tokens say, claim by claim.

use std::collections::BTreeSet;

use actix_web::test::TestRequest;
use attesto_core::{ClaimsRefused, CustomClaims};
use attesto_token::{JwkSet, MAX_TOKEN_BYTES};
use attesto_verifier::Verifier;
use serde_json::{Value, json};

use crate::fixture::{
    AUDIENCE, Authority, Claims, DAY, EMPTY, INVALID, ISSUER, NOW, Pair, SECOND, USER_ID, claims, header,
};

/// Of 128 random bits.
#[track_caller]
fn is_id(id: &Value) -> String {
    let id = id.as_str().expect("a text");
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    id.to_owned()
}

fn as_claims(json: Value) -> Claims {
    serde_json::from_value(json).unwrap()
}

#[actix_web::test]
async fn the_first_pair_says_exactly_this() {
    let authority = Authority::with("simplejwt_scope = \"read write\"").await;
    let Pair { access, refresh } = authority.sign_in().await;
    let kid = authority.kid().await;
    assert_eq!(header(&access), format!(r#"{{"typ":"at+jwt","alg":"RS256","kid":"{kid}"}}"#));
    assert_eq!(header(&refresh), format!(r#"{{"typ":"rt+jwt","alg":"RS256","kid":"{kid}"}}"#));

    let (access, refresh) = (claims(&access), claims(&refresh));
    let sid = is_id(&access["sid"]);
    let ids = [is_id(&access["jti"]), is_id(&refresh["jti"]), sid.clone()];
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3, "no two ids are alike");
    assert_ne!(NOW.as_millis() % 1000, 0, "so that rounding shows");
    let expected_access = json!({
        "iss": ISSUER, "sub": USER_ID, "aud": AUDIENCE, "exp": (NOW + 600 * SECOND).seconds(),
        "iat": NOW.seconds(), "jti": ids[0], "client_id": "simplejwt", "scope": "read write", "sid": sid,
        "auth_time": NOW.seconds(), "token_type": "access", "user_id": USER_ID,
    });
    let expected_refresh = json!({
        "iss": ISSUER, "sub": USER_ID, "aud": ISSUER, "exp": (NOW + 7 * DAY).seconds(), "iat": NOW.seconds(),
        "jti": ids[1], "client_id": "simplejwt", "sid": sid, "gen": 1, "token_type": "refresh",
        "user_id": USER_ID,
    });
    assert_eq!(access, as_claims(expected_access));
    assert_eq!(refresh, as_claims(expected_refresh));
}

#[actix_web::test]
async fn the_next_pair_differs_in_time_id_and_generation_only() {
    let authority = Authority::with("simplejwt_scope = \"read\"").await;
    let first = authority.sign_in().await;
    authority.clock.advance(DAY);
    let second = authority.refresh(&first.refresh).await.pair();
    let now = authority.clock.now();
    for (before, after, lifetime) in
        [(&first.access, &second.access, 600 * SECOND), (&first.refresh, &second.refresh, 7 * DAY)]
    {
        assert_eq!(header(before), header(after));
        let mut expected = claims(before);
        let after = claims(after);
        assert_ne!(is_id(&after["jti"]), is_id(&expected["jti"]));
        expected.insert("jti".into(), after["jti"].clone());
        expected.insert("iat".into(), now.seconds().into());
        expected.insert("exp".into(), (now + lifetime).seconds().into());
        if expected["token_type"] == "refresh" {
            expected.insert("gen".into(), 2.into());
        }
        assert_eq!(after, expected);
    }
    assert_eq!(claims(&second.access)["auth_time"], NOW.seconds());
}

#[actix_web::test]
async fn an_empty_scope_is_not_written() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    assert_eq!(claims(&pair.access).get("scope"), None);
    assert_eq!(claims(&pair.refresh).get("scope"), None);
}

#[actix_web::test]
async fn custom_claims_stand_in_both_tokens_as_they_were_at_sign_in() {
    let authority = Authority::new().await;
    let custom = json!({"role": "admin", "groups": ["a", "b"], "név": {"é": null}});
    authority.set_claims(&custom.to_string()).await;
    let first = authority.sign_in().await;
    authority.set_claims(r#"{"role":"reader"}"#).await;
    let second = authority.refresh(&first.refresh).await.pair();
    let retried = authority.refresh(&first.refresh).await.pair();
    for token in [&first.access, &first.refresh, &second.access, &second.refresh, &retried.access] {
        let claims = claims(token);
        for (name, value) in custom.as_object().unwrap() {
            assert_eq!(claims.get(name), Some(value), "{name}");
        }
    }
    assert_eq!(retried.refresh, second.refresh);
    assert_eq!(claims(&authority.sign_in().await.access)["role"], "reader");
}

#[actix_web::test]
async fn no_claim_that_the_authority_says_itself_can_be_given() {
    let authority = Authority::with("simplejwt_scope = \"read\"").await;
    let Pair { access, refresh } = authority.sign_in().await;
    for name in claims(&access).keys().chain(claims(&refresh).keys()) {
        let claims = json!({"role": "x", name: "forged"}).to_string();
        assert_eq!(CustomClaims::parse(&claims), Err(ClaimsRefused::Registered(name.clone())));
    }
}

#[actix_web::test]
async fn the_largest_custom_claims_still_fit_into_a_token_that_verifiers_read() {
    let authority = Authority::with("simplejwt_scope = \"read write\"").await;
    authority.set_claims(&json!({"a": "x".repeat(4096 - 8)}).to_string()).await;
    let pair = authority.sign_in().await;
    for token in [&pair.access, &pair.refresh] {
        assert!(token.len() <= MAX_TOKEN_BYTES);
        authority.verify(token).await.is(200, "{}");
    }
    authority.refresh(&pair.refresh).await.pair();
}

#[actix_web::test]
async fn lifetimes_are_those_of_the_configuration() {
    let authority = Authority::with(
        "access_token_lifetime = \"20m\"\nrefresh_idle_lifetime = \"15m\"\nrefresh_absolute_lifetime = \"15m\"\n",
    )
    .await;
    let first = authority.sign_in().await;
    let end = (NOW + 900 * SECOND).seconds();
    assert_eq!(claims(&first.refresh)["exp"], end);
    assert_eq!(claims(&first.access)["exp"], end, "an access token does not outlive its session");
    authority.clock.advance(600 * SECOND);
    let second = authority.refresh(&first.refresh).await.pair();
    assert_eq!(claims(&second.refresh)["exp"], end);
    assert_eq!(claims(&second.access)["exp"], end);
}

#[actix_web::test]
async fn an_unmodified_verifier_takes_the_access_token_and_not_the_refresh_token() {
    let authority = Authority::new().await;
    let Pair { access, refresh } = authority.sign_in().await;
    let jwks = authority.send(TestRequest::get().uri("/.well-known/jwks.json")).await;
    let jwks = JwkSet::parse(jwks.body.as_bytes()).unwrap();
    for audience in [AUDIENCE, ISSUER] {
        let clock = authority.clock.for_server();
        let verifier =
            Verifier::builder(ISSUER).audience(audience).clock(clock).build_offline(&jwks).unwrap();
        assert_eq!(verifier.verify::<Claims>(&access).is_ok(), audience == AUDIENCE);
        assert!(verifier.verify::<Claims>(&refresh).is_err());
    }
}

#[actix_web::test]
async fn a_token_of_a_server_whose_clock_is_a_minute_ahead_is_as_good_as_any() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    authority.clock.set_back(60 * SECOND);
    authority.verify(&pair.access).await.is(200, EMPTY);
    authority.verify(&pair.refresh).await.is(200, EMPTY);
    authority.clock.set_back(SECOND);
    authority.refresh(&pair.refresh).await.is(401, INVALID);
    authority.clock.advance(SECOND);
    authority.refresh(&pair.refresh).await.pair();
}
