//! Two sets of keys, and nothing that is signed by one of them passes for something of the other.

use attesto_core::KeyState;
use attesto_token::typ;

use super::{FEED, ask, key_set, read, take};
use crate::fixture::{Authority, BLACKLISTED, FEED_KEYS, INVALID, JWKS, RS256, claims, header, kid_of};
use actix_web::test::TestRequest;
use serde_json::json;

#[actix_web::test]
async fn the_keys_of_the_feed_and_of_tokens_are_never_in_one_set() {
    let authority = Authority::new().await;
    let (tokens, feed) = (authority.published().await, authority.published_at(FEED_KEYS).await);
    assert_eq!((tokens.len(), feed.len()), (2, 2));
    assert!(tokens.is_disjoint(&feed));

    let answer = ask(&authority, "").await;
    let (token_keys, feed_keys) = (key_set(&authority, JWKS).await, key_set(&authority, FEED_KEYS).await);
    assert!(read(&authority, &feed_keys, &answer.body).is_ok());
    assert_eq!(read(&authority, &token_keys, &answer.body).unwrap_err(), "unknown kid");

    let keys = authority.send(TestRequest::get().uri(FEED_KEYS)).await;
    let set = authority.jwks().await;
    for name in ["content-type", "cache-control", "access-control-allow-origin"] {
        assert_eq!(keys.header(name), set.header(name));
    }
    assert!(keys.header("etag") != set.header("etag") && !keys.header("etag").is_empty());
}

#[actix_web::test]
async fn no_token_is_an_answer() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    let answer = ask(&authority, "").await;
    let feed_keys = key_set(&authority, FEED_KEYS).await;
    // One that our key of tokens signed, to look like an answer in all else.
    let forged = authority.sign(typ::REVOCATIONS, &claims(&answer.body)).await;
    assert_eq!(claims(&forged), claims(&answer.body));
    for (token, problem) in [
        (&pair.access, "typ Some(\"at+jwt\")"),
        (&pair.refresh, "typ Some(\"rt+jwt\")"),
        (&forged, "unknown kid"),
    ] {
        assert_eq!(read(&authority, &feed_keys, token).unwrap_err(), problem);
    }
    let (_, rest) = answer.body.split_once('.').unwrap();
    let (other_head, _) = pair.access.split_once('.').unwrap();
    assert!(read(&authority, &feed_keys, &format!("{other_head}.{rest}")).is_err());
}

#[actix_web::test]
async fn no_answer_is_a_token() {
    let authority = Authority::new().await;
    let answer = ask(&authority, "").await.body;
    let forged = authority.sign(typ::REVOCATIONS, &claims(&answer)).await;
    for token in [&answer, &forged] {
        authority.verify(token).await.is(401, INVALID);
        authority.refresh(token).await.is(401, INVALID);
        let ended = authority.blacklist(token).await;
        assert!(ended.status == 401 && ended.body != BLACKLISTED, "{}", ended.body);
    }
    let closed = authority.restarted_with("feed_require_token = true\n").await;
    for token in [&answer, &forged] {
        let request =
            TestRequest::get().uri(FEED).insert_header(("Authorization", format!("Bearer {token}")));
        assert_eq!(closed.send(request).await.status, 401);
    }
}

#[actix_web::test]
async fn the_next_key_signs_when_it_is_promoted() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    authority.clock.run();
    let line = attesto_core::Line::of_feed();
    let before = take(&authority, &ask(&authority, "").await).await;
    let (old, new) = authority.rotated(line).await;
    assert_eq!(before.kid, old);
    let kid = crate::fixture::soon(async || {
        let kid = kid_of(&ask(&authority, "").await.body);
        (kid != old).then_some(kid)
    });
    assert_eq!(kid.await, new);
    take(&authority, &ask(&authority, "").await).await;
    // Of tokens nothing has changed.
    let token = authority.sign_in().await.access;
    assert_eq!(kid_of(&token), authority.key(RS256, KeyState::Active).await);
    assert!(header(&token).contains("at+jwt"));
    assert_eq!(json!(authority.row(&old).await.state.as_str()), json!("retiring"));
}
