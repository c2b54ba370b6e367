use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{ADA, Authority, ENDPOINTS, Live, NO_ACCOUNT, OBTAIN, PASSWORD};

const USERNAME_AND_PASSWORD_REQUIRED: &str =
    r#"{"username":["This field is required."],"password":["This field is required."]}"#;

/// Both spellings of every path.
fn paths() -> impl Iterator<Item = &'static str> {
    ENDPOINTS.into_iter().flat_map(|(path, _)| [path, path.trim_end_matches('/')])
}

#[actix_web::test]
async fn every_endpoint_answers_with_and_without_the_trailing_slash() {
    let authority = Authority::new().await;
    for (path, fields) in ENDPOINTS {
        let errors: Vec<String> =
            fields.iter().map(|field| format!(r#""{field}":["This field is required."]"#)).collect();
        for path in [path, path.trim_end_matches('/')] {
            authority.post_json(path, &json!({})).await.is(400, &format!("{{{}}}", errors.join(",")));
        }
    }
}

#[actix_web::test]
async fn other_paths_are_not_found() {
    let authority = Authority::new().await;
    for path in ["/", "/api/token//", "/api/tokens/", "/api/token/sliding/", "/API/token/", "/api/"] {
        let answer = authority.post_json(path, &json!({})).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, r#"{"detail":"Not found."}"#), "{path}");
    }
}

#[actix_web::test]
async fn other_methods_are_refused_by_name() {
    let authority = Authority::new().await;
    for path in paths() {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
            let request = TestRequest::default().method(method.clone()).uri(path);
            let body = format!(r#"{{"detail":"Method \"{method}\" not allowed."}}"#);
            authority.send(request).await.is(405, &body);
        }
    }
}

#[test]
fn head_is_refused_without_a_body() {
    let live = Live::start("");
    for path in paths() {
        let answer =
            live.exchange(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (405, ""), "{path}");
        assert_eq!(answer.header("allow"), "POST, OPTIONS");
    }
}

#[actix_web::test]
async fn options_describes_the_endpoint() {
    let authority = Authority::new().await;
    for path in paths() {
        let answer = authority.send(TestRequest::default().method(Method::OPTIONS).uri(path)).await;
        assert_eq!(answer.status, 200);
        answer.has_headers_of_dialect();
        assert_eq!(answer.json()["renders"], json!(["application/json"]));
        assert_eq!(
            answer.json()["parses"],
            json!(["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
        );
    }
}

#[actix_web::test]
async fn whoever_does_not_take_json_is_told_so_before_anything_else() {
    let authority = Authority::new().await;
    for accept in ["text/html", "application/xml", "text/*", "text/html, image/png;q=0.5", "", "json"] {
        for method in [Method::POST, Method::GET, Method::OPTIONS] {
            let request = TestRequest::default()
                .method(method)
                .uri(OBTAIN)
                .insert_header((ACCEPT, accept))
                .insert_header((CONTENT_TYPE, "text/plain"))
                .set_payload("{");
            let body = r#"{"detail":"Could not satisfy the request Accept header."}"#;
            authority.send(request).await.is(406, body);
        }
    }
}

#[actix_web::test]
async fn whoever_takes_json_among_others_is_served() {
    let authority = Authority::new().await;
    for accept in [
        &["*/*"][..],
        &["application/*"],
        &["application/json; indent=4"],
        &["text/html, application/json;q=0.9"],
        &["text/html", "application/json"],
    ] {
        let mut request = TestRequest::post().uri(OBTAIN);
        for range in accept {
            request = request.append_header((ACCEPT, *range));
        }
        authority.send(request).await.is(400, USERNAME_AND_PASSWORD_REQUIRED);
    }
}

#[actix_web::test]
async fn the_authorization_header_is_ignored() {
    let authority = Authority::new().await;
    for value in ["Bearer junk", "Bearer", "bearer a b c", "Basic YTpi", ""] {
        let request = TestRequest::post()
            .uri(OBTAIN)
            .insert_header((AUTHORIZATION, value))
            .set_json(json!({"username": ADA, "password": PASSWORD}));
        assert_eq!(authority.send(request).await.status, 200, "{value}");
    }
}

#[actix_web::test]
async fn the_query_is_never_read() {
    let authority = Authority::new().await;
    let path = format!("{OBTAIN}?username={ADA}&password={PASSWORD}");
    authority.post_json(&path, &json!({})).await.is(400, USERNAME_AND_PASSWORD_REQUIRED);
    let wrong = json!({"username": ADA, "password": "wrong"});
    authority.post_json(&path, &wrong).await.is(401, NO_ACCOUNT);
}
