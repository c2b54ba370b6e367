use std::time::Duration;

use attesto_core::{Client, ClientId, ClientKind, Event, Instant, Policy, Scope, SessionId, Watermark};
use attesto_token::{base64url_encode, typ};
use ring::hmac;
use serde_json::{Value, json};

use crate::fixture::{
    ADA, Act, Authority, BLACKLISTED, Claims, DAY, EXPIRED, INVALID, ISSUER, MILLISECOND,
    NO_ACCOUNT_FOR_TOKEN, NOW, SECOND, WRONG_TYPE, claims, signature_of, user_id,
};

#[actix_web::test]
async fn a_good_token_gives_exactly_an_access_and_a_refresh_token() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await;
    authority.clock.advance(SECOND);
    let answer = authority.refresh(&first.refresh).await;
    let second = answer.pair();
    answer.is(200, &format!(r#"{{"access":"{}","refresh":"{}"}}"#, second.access, second.refresh));
    assert_ne!(first.refresh, second.refresh);
    authority.refresh(&second.refresh).await.pair();
}

#[actix_web::test]
async fn without_rotation_only_an_access_token_comes_back() {
    let authority = Authority::with("simplejwt_rotates = false").await;
    let refresh = authority.sign_in().await.refresh;
    assert_eq!(claims(&refresh)["exp"], (NOW + 30 * DAY).seconds(), "the absolute end: it is never renewed");
    for day in 1..=3 {
        authority.clock.advance(6 * DAY);
        let answer = authority.refresh(&refresh).await;
        let access = answer.json()["access"].as_str().unwrap().to_owned();
        answer.is(200, &format!(r#"{{"access":"{access}"}}"#));
        authority.verify(&access).await.is(200, "{}");
        let session = authority.session_of(&refresh).await.session;
        assert_eq!((session.generation, session.last_used_at), (1, NOW + 6 * day * DAY));
        assert_eq!(session.idle_expires_at, NOW + 6 * day * DAY + 7 * DAY);
    }
    authority.clock.advance_almost(7 * DAY);
    authority.verify(&refresh).await.is(200, "{}");
    authority.clock.advance(MILLISECOND);
    authority.refresh(&refresh).await.is(401, EXPIRED);
    assert_eq!(authority.audited().await, ["signed_in"], "a refresh leaves no audit row");
}

/// Header, claims and signature in compact form.
fn compact(header: &Value, claims: &Claims, signature: &[u8]) -> String {
    let input = signing_input(header, claims);
    format!("{input}.{}", base64url_encode(signature))
}

fn signing_input(header: &Value, claims: &Claims) -> String {
    let part = |json: String| base64url_encode(json.as_bytes());
    format!("{}.{}", part(header.to_string()), part(serde_json::to_string(claims).unwrap()))
}

#[actix_web::test]
async fn a_token_that_is_not_ours_is_invalid_and_changes_nothing() {
    let (authority, stranger) = (Authority::new().await, Authority::stranger().await);
    let good = authority.sign_in().await.refresh;
    let theirs = stranger.sign_in().await.refresh;
    let (kid, good_claims) = (authority.kid().await, claims(&good));
    let (body, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = body.split_once('.').unwrap();

    let mut raised = good_claims.clone();
    raised.insert("sub".into(), json!("root"));
    let jwks = authority.read(|tx| tx.find_key_table()).await.keys.remove(0).public_jwk;
    let hs256 = |kid: &str| {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, jwks.as_bytes()),
            signing_input(&header, &good_claims).as_bytes(),
        );
        compact(&header, &good_claims, tag.as_ref())
    };
    let unsigned = |header: Value| compact(&header, &good_claims, b"x");
    let altered_payload = base64url_encode(serde_json::to_string(&raised).unwrap().as_bytes());
    let mut other_signature = signature.to_owned();
    other_signature.replace_range(10..11, if &signature[10..11] == "A" { "B" } else { "A" });

    let table = [
        ("junk", "junk".to_owned()),
        ("dots", "..".to_owned()),
        ("a JWE", "a.b.c.d.e".to_owned()),
        ("not base64url", "!.!.!".to_owned()),
        ("a header that is no JSON", format!("{}.{payload}.{signature}", base64url_encode(b"{"))),
        ("a part missing", body.to_owned()),
        ("a part too many", format!("{good}.x")),
        ("a character more", format!("{good}A")),
        ("padding", format!("{good}==")),
        ("a character less", good[..good.len() - 1].to_owned()),
        ("an altered payload", format!("{head}.{altered_payload}.{signature}")),
        ("an altered signature", format!("{body}.{other_signature}")),
        ("another token's signature", format!("{body}.{}", signature_of(&theirs))),
        ("another authority's", theirs.clone()),
        ("another key, our claims", stranger.sign(typ::REFRESH, &good_claims).await),
        ("another key, a JWT", stranger.sign("JWT", &good_claims).await),
        ("another key, an access token", stranger.sign(typ::ACCESS, &good_claims).await),
        ("our key, another type", authority.sign("JWT", &good_claims).await),
        ("alg none", compact(&json!({"alg": "none"}), &good_claims, b"x")),
        ("alg none, no signature", format!("{}.", signing_input(&json!({"alg": "none"}), &good_claims))),
        ("alg None", unsigned(json!({"alg": "None", "typ": "rt+jwt", "kid": kid}))),
        ("HS256 under the public key", hs256(&kid)),
        ("RS384", unsigned(json!({"alg": "RS384", "typ": "rt+jwt", "kid": kid}))),
        ("alg missing", unsigned(json!({"typ": "rt+jwt", "kid": kid}))),
        ("alg a number", unsigned(json!({"alg": 256, "typ": "rt+jwt", "kid": kid}))),
        ("kid missing", unsigned(json!({"alg": "RS256", "typ": "rt+jwt"}))),
        ("kid unknown", unsigned(json!({"alg": "RS256", "typ": "rt+jwt", "kid": "x' OR 1=1 --"}))),
        ("kid missing, a JWT as SimpleJWT writes it", unsigned(json!({"alg": "RS256", "typ": "JWT"}))),
        ("crit", unsigned(json!({"alg": "RS256", "typ": "rt+jwt", "kid": kid, "crit": ["x"]}))),
        ("over 8 KiB", format!("{good}{}", "A".repeat(8 * 1024))),
        ("close to 64 KiB", "a.".repeat(32_000)),
    ];
    for (what, token) in table {
        let answer = authority.refresh(&token).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, INVALID), "{what}");
        answer.is(401, INVALID);
        authority.verify(&token).await.is(401, INVALID);
        authority.blacklist(&token).await.is(401, INVALID);
    }
    assert_eq!(authority.audited().await, ["signed_in"]);
    authority.refresh(&good).await.pair();
}

#[actix_web::test]
async fn what_our_key_signs_is_still_checked_claim_by_claim() {
    let authority = Authority::new().await;
    let good = authority.sign_in().await.refresh;
    let now = NOW.seconds();
    let table: [(&str, Option<Value>, &str); 24] = [
        ("aud", Some(json!("shop")), INVALID),
        ("aud", Some(json!([])), INVALID),
        ("aud", None, INVALID),
        ("iss", Some(json!("https://other.example.com")), INVALID),
        ("iss", Some(json!(format!("{ISSUER}/"))), INVALID),
        ("iss", None, INVALID),
        ("exp", None, r#"{"detail":"Token has no 'exp' claim","code":"token_not_valid"}"#),
        ("exp", Some(json!(now)), EXPIRED),
        ("exp", Some(json!("never")), INVALID),
        ("exp", Some(json!(1e15)), INVALID),
        ("exp", Some(json!(i64::MAX)), INVALID),
        ("exp", Some(json!(-1)), INVALID),
        ("iat", Some(json!(now + 61)), INVALID),
        ("nbf", Some(json!(now + 61)), INVALID),
        ("jti", None, r#"{"detail":"Token has no id","code":"token_not_valid"}"#),
        ("jti", Some(json!(7)), INVALID),
        ("jti", Some(json!("0123")), INVALID),
        ("sub", Some(json!(7)), INVALID),
        ("sid", None, INVALID),
        ("sid", Some(json!("x")), BLACKLISTED),
        ("gen", Some(json!("1")), INVALID),
        ("gen", Some(json!(2)), INVALID),
        ("gen", Some(json!(i64::MAX)), INVALID),
        ("user_id", None, INVALID),
    ];
    for (claim, value, body) in table {
        let what = format!("{claim} {value:?}");
        let token = authority
            .forge(&good, |claims| match value {
                Some(value) => drop(claims.insert(claim.into(), value)),
                None => drop(claims.remove(claim)),
            })
            .await;
        let answer = authority.refresh(&token).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, body), "{what}");
    }
    assert_eq!(authority.audited().await, ["signed_in"], "none of them ended the session");
    authority.refresh(&good).await.pair();
}

#[actix_web::test]
async fn of_a_token_that_is_bad_in_several_ways_the_first_check_speaks() {
    let (authority, stranger) = (Authority::new().await, Authority::stranger().await);
    let pair = authority.sign_in().await;
    let past = |claims: &mut Claims| drop(claims.insert("exp".into(), json!(NOW.seconds())));
    let mut of_stranger = claims(&pair.refresh);
    past(&mut of_stranger);
    let expired_and_badly_signed = stranger.sign(typ::REFRESH, &of_stranger).await;
    let expired_for_another = authority
        .forge(&pair.refresh, |claims| {
            past(claims);
            claims.insert("aud".into(), json!("another"));
        })
        .await;
    let expired_from_the_future = authority
        .forge(&pair.refresh, |claims| {
            past(claims);
            claims.insert("iat".into(), json!(NOW.seconds() + 100));
        })
        .await;
    authority.refresh(&expired_and_badly_signed).await.is(401, INVALID);
    authority.refresh(&expired_for_another).await.is(401, EXPIRED);
    authority.refresh(&expired_from_the_future).await.is(401, INVALID);

    authority.refresh(&pair.access).await.is(401, WRONG_TYPE);
    authority.clock.advance(600 * SECOND);
    authority.refresh(&pair.access).await.is(401, EXPIRED);
    authority.refresh(&format!("{}A", pair.access)).await.is(401, INVALID);
}

#[actix_web::test]
async fn the_gate_is_asked_at_every_refresh() {
    for (acts, body) in [
        (&[Act::DisableUser][..], NO_ACCOUNT_FOR_TOKEN),
        (&[Act::DeleteUser], NO_ACCOUNT_FOR_TOKEN),
        (&[Act::DisableClient], NO_ACCOUNT_FOR_TOKEN),
        (&[Act::DisableUser, Act::EnableUser], BLACKLISTED),
        (&[Act::DisableClient, Act::EnableClient], BLACKLISTED),
        (&[Act::ChangePassword], BLACKLISTED),
        (&[Act::RevokeSessions], BLACKLISTED),
    ] {
        for rotates in [true, false] {
            let authority = Authority::with(&format!("simplejwt_rotates = {rotates}")).await;
            let first = authority.sign_in().await.refresh;
            // The predecessor within its grace, where there is one, and the current token.
            let current =
                if rotates { authority.refresh(&first).await.pair().refresh } else { first.clone() };
            let before = authority.audited().await;
            authority.operator(acts).await;
            for token in [&first, &current] {
                authority.refresh(token).await.is(401, body);
            }
            authority.clock.advance(DAY);
            authority.refresh(&current).await.is(401, body);
            assert_eq!(authority.audited().await, before, "{acts:?}");
        }
    }
}

#[actix_web::test]
async fn a_session_of_another_client_is_not_for_this_endpoint() {
    let authority = Authority::new().await;
    let client = Client {
        id: ClientId("web".to_owned()),
        kind: ClientKind::Public,
        redirect_uris: Vec::new(),
        audience: "shop".to_owned(),
        scope: Scope::default(),
        rotates: true,
        grace_interval: None,
        access_token_algorithm: None,
        refresh_token_algorithm: None,
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: NOW,
    };
    let ada = authority.read(|tx| tx.find_user(&user_id())).await.unwrap();
    let pair = authority.sign_in().await;
    let session = authority.session_of(&pair.refresh).await.session;
    let opening = ada.open_session(&client, SessionId("other".to_owned()), &Policy::default(), NOW).unwrap();
    let session = opening.signed(session.jti_digest, session.kid, session.rotated_by);
    let (added, began) = (authority.event(Event::ClientAdded), authority.event(Event::SignedIn));
    authority
        .write(move |tx| {
            tx.insert_client(&client, &added)?;
            tx.insert_session(&session, 1, &began)
        })
        .await;

    let token = authority
        .forge(&pair.refresh, |claims| {
            claims.insert("sid".into(), json!("other"));
            claims.insert("client_id".into(), json!("web"));
        })
        .await;
    authority.refresh(&token).await.is(401, INVALID);
    authority.blacklist(&token).await.is(401, INVALID);
    let other = authority.sessions().await.into_iter().find(|listed| listed.session.id.0 == "other").unwrap();
    assert!(other.is_live && other.session.generation == 1);
    assert_eq!(other.username.as_deref(), Some(ADA));
    assert!(authority.revocations().await.is_empty());
}

#[actix_web::test]
async fn idle_and_absolute_end_of_life() {
    let authority = Authority::new().await;
    let mut refresh = authority.sign_in().await.refresh;
    let absolute_end = NOW + 30 * DAY;
    for _ in 0..4 {
        let idle_end = authority.clock.now() + 7 * DAY;
        assert_eq!(claims(&refresh)["exp"], idle_end.min(absolute_end).seconds());
        authority.clock.advance_to(idle_end - SECOND);
        refresh = authority.refresh(&refresh).await.pair().refresh;
    }
    assert_eq!(claims(&refresh)["exp"], absolute_end.seconds(), "rotation never extends the absolute end");
    let session = authority.session_of(&refresh).await.session;
    assert_eq!((session.idle_expires_at, session.absolute_expires_at), (absolute_end, absolute_end));

    authority.clock.advance_to(absolute_end - 100 * SECOND);
    let last = authority.refresh(&refresh).await.pair();
    assert_eq!(claims(&last.access)["exp"], absolute_end.seconds(), "an access token does not outlive it");
    authority.clock.advance_to(absolute_end - Duration::from_millis(750));
    authority.refresh(&last.refresh).await.is(401, EXPIRED);
    authority.verify(&last.access).await.is(401, EXPIRED);
    authority.blacklist(&last.refresh).await.is(401, EXPIRED);
}

#[actix_web::test]
async fn a_session_that_is_not_refreshed_in_time_is_over() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    authority.clock.advance_to(Instant::from_seconds((NOW + 7 * DAY).seconds()) - MILLISECOND);
    authority.verify(&refresh).await.is(200, "{}");
    authority.clock.advance(MILLISECOND);
    authority.refresh(&refresh).await.is(401, EXPIRED);
    assert!(authority.revocations().await.is_empty(), "an end that everybody can read needs no record");
}
