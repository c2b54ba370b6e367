use actix_web::http::Method;
use actix_web::test::TestRequest;

use crate::fixture::{Authority, ISSUER};

const PATH: &str = "/.well-known/oauth-authorization-server";

#[actix_web::test]
async fn the_metadata_names_only_what_works() {
    let authority = Authority::new().await;
    let answer = authority.send(TestRequest::get().uri(PATH)).await;
    let expected = format!(
        r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}/.well-known/jwks.json","response_types_supported":[],"grant_types_supported":[]}}"#
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[actix_web::test]
async fn the_metadata_never_depends_on_how_it_was_asked_for() {
    let authority = Authority::new().await;
    let plain = authority.send(TestRequest::get().uri(PATH)).await;
    let spoofed = TestRequest::get()
        .uri(PATH)
        .insert_header(("Host", "evil.example.com"))
        .insert_header(("Forwarded", "host=evil.example.com;proto=http"))
        .insert_header(("X-Forwarded-Host", "evil.example.com"));
    assert_eq!(authority.send(spoofed).await.without_request_id(), plain.without_request_id());
    for (method, path, status) in [
        (Method::HEAD, PATH.to_owned(), 200),
        (Method::POST, PATH.to_owned(), 405),
        (Method::GET, format!("{PATH}/"), 404),
    ] {
        let answer = authority.send(TestRequest::default().method(method).uri(&path)).await;
        assert_eq!(answer.status, status, "{path}");
    }
}
