//! `feed_require_token`: a feed for those alone who could ask us about a token anyway.

use actix_web::test::TestRequest;
use serde_json::json;

use super::{FEED, ask, take};
use crate::fixture::{Act, Answer, Authority, EMPTY, FEED_KEYS, SECOND};

const CLOSED: &str = "feed_require_token = true\n";

async fn present(authority: &Authority, headers: &[&str]) -> Answer {
    let mut request = TestRequest::get().uri(FEED);
    for header in headers {
        request = request.append_header(("Authorization", *header));
    }
    authority.send(request).await
}

fn is_refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.header("cache-control")), (401, "no-store"), "{what}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"revocations\", error=\"invalid_token\", "), "{challenge}");
    assert_eq!(answer.json()["error"], "invalid_token");
}

#[actix_web::test]
async fn without_a_token_one_is_asked_for() {
    let authority = Authority::with(CLOSED).await;
    let access = authority.sign_in().await.access;
    let good = format!("Bearer {access}");
    for headers in [&["Bearer"][..], &["Bearer "], &["Bearer a b"], &[&good, &good], &[&good, "Basic YTpi"]] {
        let answer = present(&authority, headers).await;
        assert_eq!((answer.status, answer.header("cache-control")), (400, "no-store"), "{headers:?}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_request\""), "{headers:?}");
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    for headers in [&[][..], &["Basic YTpi"], &[""], &[&access]] {
        let answer = present(&authority, headers).await;
        assert_eq!((answer.status, answer.header("cache-control")), (401, "no-store"), "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"revocations\"");
    }
    // Nobody learns what a good question is.
    assert_eq!(ask(&authority, "?after=x").await.status, 401);
    let head = TestRequest::default().method(actix_web::http::Method::HEAD).uri(FEED);
    assert_eq!(authority.send(head).await.status, 401);
    assert_eq!(authority.send(TestRequest::get().uri(FEED_KEYS)).await.status, 200);
}

#[actix_web::test]
async fn an_access_token_opens_it_for_as_long_as_it_lives() {
    let authority = Authority::with(CLOSED).await;
    let stranger = Authority::stranger().await.sign_in().await;
    let pair = authority.sign_in().await;
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let answer = present(&authority, &[&format!("{scheme} {}", pair.access)]).await;
        assert_eq!(take(&authority, &answer).await.seq, 0);
    }
    for token in ["x", "a.b.c", "a.b.c.d", &pair.refresh, &stranger.access, &stranger.refresh] {
        is_refused(&present(&authority, &[&format!("Bearer {token}")]).await, token);
    }
    let good = format!("Bearer {}", pair.access);
    let wrong =
        TestRequest::get().uri("/revocations?after=x").insert_header(("Authorization", good.as_str()));
    let answer = authority.send(wrong).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));

    // Who was signed out with everybody else has to hear of it.
    authority.blacklist(&pair.refresh).await.is(200, EMPTY);
    authority.operator(&[Act::DisableUser]).await;
    assert_eq!(present(&authority, &[&good]).await.status, 200);

    authority.operator(&[Act::EnableUser]).await;
    authority.clock.advance(5 * SECOND);
    let late = format!("Bearer {}", authority.sign_in().await.access);
    authority.clock.advance(600 * SECOND);
    is_refused(&present(&authority, &[&late]).await, "it has expired");
}

#[actix_web::test]
async fn whoever_is_open_looks_at_no_token() {
    let authority = Authority::new().await;
    for headers in [&["Bearer x"][..], &["Basic YTpi", "Bearer x"]] {
        assert_eq!(present(&authority, headers).await.status, 200);
    }
}
