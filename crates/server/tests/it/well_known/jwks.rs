use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::http::header::IF_NONE_MATCH;
use actix_web::test::TestRequest;

use crate::fixture::{Answer, Authority, Live};

const PATH: &str = "/.well-known/jwks.json";

async fn get(authority: &Authority) -> Answer {
    authority.send(TestRequest::get().uri(PATH)).await
}

#[actix_web::test]
async fn the_set_has_the_active_and_the_staged_key_with_public_members_only() {
    let authority = Authority::new().await;
    let set = get(&authority).await.json();
    assert_eq!(set.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&"RSA".into(), &"sig".into(), &"RS256".into()));
        assert_eq!(key["e"], "AQAB");
        assert_eq!(key["kid"].as_str().unwrap().len(), 43, "an RFC 7638 thumbprint");
        assert_eq!(key["n"].as_str().unwrap().len(), 342, "2,048 bits");
    }
    let active = authority.kid().await;
    assert_eq!(keys.iter().filter(|key| key["kid"] == active).count(), 1);
}

#[actix_web::test]
async fn the_set_can_be_cached_for_five_minutes_and_outlives_an_outage() {
    let authority = Authority::new().await;
    let mut answer = get(&authority).await;
    assert_eq!(answer.status, 200);
    let etag = answer.headers.remove("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "a strong one: {etag}");
    answer.headers.remove("x-request-id");
    assert_eq!(
        answer.headers,
        BTreeMap::from(
            [
                ("access-control-allow-origin", "*"),
                ("cache-control", "public, max-age=300, stale-while-revalidate=300, stale-if-error=86400"),
                ("content-type", "application/jwk-set+json"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        )
    );
    assert_eq!(get(&authority).await.header("etag"), etag);
}

#[actix_web::test]
async fn who_has_the_set_is_told_so() {
    let authority = Authority::new().await;
    let full = get(&authority).await;
    let etag = full.header("etag").to_owned();
    for (known, has_it) in [
        (vec![etag.clone()], true),
        (vec![format!("W/{etag}")], true),
        (vec!["*".to_owned()], true),
        (vec![format!("\"other\", W/\"another\", {etag}")], true),
        (vec!["\"other\"".to_owned(), etag.clone()], true),
        (vec!["\"other\"".to_owned()], false),
        (vec![etag.trim_matches('"').to_owned()], false),
        (vec![String::new()], false),
        (vec!["\u{b5}".to_owned()], false),
    ] {
        let mut request = TestRequest::get().uri(PATH);
        for value in &known {
            request = request.append_header((IF_NONE_MATCH, value.as_bytes()));
        }
        let answer = authority.send(request).await;
        assert_eq!(answer.status, if has_it { 304 } else { 200 }, "{known:?}");
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("cache-control"), full.header("cache-control"));
        assert_eq!(answer.body, if has_it { "" } else { &full.body });
        assert_eq!(answer.headers.contains_key("content-type"), !has_it);
    }
}

#[actix_web::test]
async fn the_set_is_read_only_and_never_redirected() {
    let authority = Authority::new().await;
    for (method, path, status) in [
        (Method::POST, PATH, 405),
        (Method::GET, "/.well-known/jwks.json/", 404),
        (Method::GET, "/.well-known//jwks.json", 404),
        (Method::GET, "/jwks.json", 404),
    ] {
        let answer = authority.send(TestRequest::default().method(method).uri(path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.headers.contains_key("location"));
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let live = Live::start("");
    let ask = |method: &str| {
        live.exchange(format!("{method} {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    };
    let (mut get, mut head) = (ask("GET"), ask("HEAD"));
    assert_eq!((get.status, head.status, head.body.as_str()), (200, 200, ""));
    assert_eq!(get.header("content-length"), get.body.len().to_string());
    for answer in [&mut get, &mut head] {
        answer.headers.remove("date");
        answer.headers.remove("x-request-id");
    }
    assert_eq!(get.headers, head.headers);
}
