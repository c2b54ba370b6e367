//! What the log says, and what it never says.

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{ADA, Authority, Log, NEW_PASSWORD, OBTAIN, PASSWORD, REFRESH, SECOND, signature_of};

#[actix_web::test]
async fn no_password_and_no_token_is_ever_logged() {
    let log = Log::capture();
    let authority = Authority::new().await;
    let canary = "canary-in-the-wrong-field";
    let pair = authority.sign_in().await;
    authority.obtain(canary, canary).await;
    authority.obtain(ADA, &format!("{canary}\u{0}")).await;
    authority.post_json(OBTAIN, &json!({"username": [canary], "password": {canary: canary}})).await;
    authority.post(OBTAIN, "application/json", format!("{{\"password\":\"{canary}\" oops")).await;
    authority.post(OBTAIN, "multipart/form-data; boundary=b", format!("--b\r\n{canary}")).await;
    authority.post(OBTAIN, "text/plain", canary).await;
    authority.post_json(&format!("{OBTAIN}?password={canary}"), &json!({})).await;
    let next = authority.refresh(&pair.refresh).await.pair();
    authority.verify(&next.access).await;
    authority.refresh(&next.access).await;
    authority.refresh(&format!("{}x", next.refresh)).await;
    authority.clock.advance(31 * SECOND);
    authority.refresh(&pair.refresh).await;
    authority.blacklist(&next.refresh).await;
    let with_headers = TestRequest::post()
        .uri(REFRESH)
        .insert_header((AUTHORIZATION, format!("Bearer {}", next.access)))
        .insert_header(("Cookie", format!("refresh={canary}")))
        .insert_header((USER_AGENT, canary))
        .set_json(json!({"refresh": canary}));
    authority.send(with_headers).await;

    let text = log.text();
    assert!(text.contains("refused") && text.contains("answered"), "something is logged");
    let secrets = [PASSWORD, NEW_PASSWORD, canary, "$argon2id$"];
    let tokens =
        [&pair.access, &pair.refresh, &next.access, &next.refresh].map(|token| &signature_of(token)[..20]);
    for secret in secrets.into_iter().chain(tokens) {
        let leak = text.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
}

#[actix_web::test]
async fn what_a_caller_sends_cannot_forge_a_line() {
    let log = Log::capture();
    let authority = Authority::new().await;
    let forged = "x\r\nFORGED-LINE \u{1b}[31mred\u{9b}";
    authority.obtain(forged, forged).await;
    authority.refresh(forged).await;
    authority.post_json("/nowhere/%0d%0aFORGED-LINE%1b[31m", &json!({})).await;
    let odd_type = TestRequest::post()
        .uri(OBTAIN)
        .insert_header((CONTENT_TYPE, "text/FORGED-LINE\t[31m"))
        .insert_header(("X-Request-Id", "FORGED-LINE"))
        .set_payload("x");
    let answer = authority.send(odd_type).await;
    assert_ne!(answer.header("x-request-id"), "FORGED-LINE");

    let text = log.text();
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()));
    assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED-LINE")));
}

#[actix_web::test]
async fn every_line_about_a_request_names_it() {
    let log = Log::capture();
    let authority = Authority::new().await;
    let refused = authority.refresh("junk").await;
    let lines = log.of_request(refused.header("x-request-id"));
    assert!(
        lines.iter().any(|line| line.contains("token refused") && line.contains("malformed")),
        "{lines:?}"
    );
    let answered = lines.iter().find(|line| line.contains("answered")).unwrap();
    for part in ["status=401", "method=POST", "path=\"/api/token/refresh/\""] {
        assert!(answered.contains(part), "{answered}");
    }
}
