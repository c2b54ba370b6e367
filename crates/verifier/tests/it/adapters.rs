//! One table of requests for all adapters: on whatever framework a service stands, its clients get the same answers.

mod actix;
mod axum;
mod tower;
mod wire;

use attesto_verifier::{JwkSet, ProtectedResource, ResourceServer, Verifier, Verifiers};
use serde_json::{Value, json};

use crate::token::{AUDIENCE, KEY, NOW, OTHER_KEY, SigningKey, claims, verifier, with};
use wire::{Answer, Request, Service};

/// What would end the quoted string, the header or the connection if it were not escaped or left out.
const REALM: &str = "o\"r\\d\r\nx: \u{7f}é";
const QUOTED_REALM: &str = r#"realm="o\"r\\dx: é""#;

fn server() -> ResourceServer {
    ResourceServer::new(verifier()).realm(REALM)
}

/// The server behind each adapter: at `/orders` a handler answers with the subject of the token.
async fn services(server: &ResourceServer) -> Vec<(&'static str, Service)> {
    vec![
        ("tower layer", tower::layer(server)),
        ("axum extractor", axum::extractor(server).await),
        ("axum layer", axum::layer(server).await),
        ("actix extractor", actix::extractor(server)),
        ("actix middleware", actix::middleware(server)),
    ]
}

fn orders() -> Request {
    Request::new("GET", "/orders")
}

fn bearer(token: &str) -> Request {
    orders().authorization(format!("Bearer {token}"))
}

fn good() -> String {
    KEY.token(&claims())
}

/// What RFC 6750 §3 says, spelled out.
fn denied(error: &str, description: &str) -> (String, Value) {
    (
        format!(r#"Bearer {QUOTED_REALM}, error="{error}", error_description="{description}""#),
        json!({"error": error, "error_description": description}),
    )
}

fn assert_denied(answer: &Answer, status: u16, (challenge, body): &(String, Value), context: &str) {
    assert_eq!(answer.status, status, "{context}");
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{context}");
    assert_eq!(answer.header("retry-after"), None, "{context}");
    assert_no_store_json(answer, body, context);
}

fn assert_no_store_json(answer: &Answer, body: &Value, context: &str) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{context}");
    assert_eq!(&answer.json(), body, "{context}");
}

#[tokio::test]
async fn a_good_token_in_the_one_header_is_let_through() {
    let token = good();
    for (name, service) in services(&server()).await {
        for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR     "] {
            let answer = service.ask(&orders().authorization(format!("{scheme}{token}"))).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "42"), "{name}, {scheme}");
            assert_eq!(answer.header("www-authenticate"), None, "{name}, {scheme}");
        }
    }
}

#[tokio::test]
async fn without_credentials_there_is_no_error_code() {
    let token = good();
    let expected =
        (format!("Bearer {QUOTED_REALM}"), json!({"error_description": "there is no access token"}));
    let requests = [
        ("no header", orders()),
        ("another scheme", orders().authorization("Basic dXNlcjpwYXNz")),
        ("no scheme", orders().authorization(token.as_str())),
        ("a scheme that is no text", orders().authorization(b"\xff\xfe a")),
        ("a preflight", Request::new("OPTIONS", "/orders").header("access-control-request-method", "GET")),
        ("the query", Request::new("GET", &format!("/orders?access_token={token}"))),
        ("a form", Request::new("POST", "/orders").form(&format!("access_token={token}"))),
    ];
    for (name, service) in services(&server()).await {
        for (what, request) in &requests {
            assert_denied(&service.ask(request).await, 401, &expected, &format!("{name}: {what}"));
        }
    }
}

#[tokio::test]
async fn credentials_that_are_not_one_token_are_an_invalid_request() {
    let token = good();
    let expected =
        denied("invalid_request", "the request needs exactly one Authorization header with one Bearer token");
    let requests = [
        ("two headers", bearer(&token).authorization(format!("Bearer {token}"))),
        ("one of them of another scheme", bearer(&token).authorization("Basic dXNlcjpwYXNz")),
        ("no token", orders().authorization("Bearer")),
        ("nothing but spaces", orders().authorization("Bearer    ")),
        ("two tokens", bearer(&format!("{token} {token}"))),
        ("two credentials in one header", bearer(&format!("{token}, Bearer {token}"))),
        ("a tab", orders().authorization(format!("Bearer\t{token}"))),
        ("a token that is no text", orders().authorization(b"Bearer \xff\xfe")),
    ];
    for (name, service) in services(&server()).await {
        for (what, request) in &requests {
            assert_denied(&service.ask(request).await, 400, &expected, &format!("{name}: {what}"));
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_an_invalid_token() {
    let tokens = [
        ("canary0123456789".to_owned(), "the token is malformed"),
        ("a".repeat(8 * 1024 + 1), "the token is too large"),
        (KEY.token(&with("exp", 1)), "the token has expired"),
        (KEY.token(&with("aud", "canary0123456789")), "the token is for another audience"),
        (OTHER_KEY.token(&claims()), "the key is unknown"),
    ];
    for (name, service) in services(&server()).await {
        for (token, description) in &tokens {
            let answer = service.ask(&bearer(token)).await;
            assert_denied(&answer, 401, &denied("invalid_token", description), name);
            assert!(!format!("{answer:?}").contains("canary"), "{name}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden() {
    let (challenge, body) = denied("insufficient_scope", "the token lacks a required scope");
    let expected = (format!(r#"{challenge}, scope="orders:read admin""#), body);
    let token = good();
    for (name, service) in
        services(&server().require_scopes(&["orders:read"]).require_scopes(&["admin"])).await
    {
        assert_denied(&service.ask(&bearer(&token)).await, 403, &expected, name);
        assert_eq!(service.ask(&orders()).await.status, 401, "{name}: first a token, then its scope");
    }
    for (name, service) in services(&server().require_scopes(&["orders:read", "orders:write"])).await {
        assert_eq!(service.ask(&bearer(&token)).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_service_takes_tokens_of_several_issuers() {
    const OTHER: &str = "https://other.example";
    let mut twin = OTHER_KEY.jwk.clone();
    twin.kid.clone_from(&KEY.jwk.kid);
    let theirs = Verifier::builder(OTHER).audience(AUDIENCE).clock(|| NOW);
    let theirs = theirs.build_offline(&JwkSet::new(vec![twin])).unwrap();
    let server = ResourceServer::from(Verifiers::new([verifier(), theirs]).unwrap()).realm(REALM);
    let signed =
        |key: &SigningKey, issuer: &str| key.sign(&KEY.header().to_string(), with("iss", issuer).to_string());
    let stranger = signed(&KEY, "https://stranger.example");
    let forged = signed(&KEY, OTHER);
    let refused = [(stranger, "the token is from another issuer"), (forged, "the signature is invalid")];
    for (name, service) in services(&server).await {
        for token in [good(), signed(&OTHER_KEY, OTHER)] {
            assert_eq!(service.ask(&bearer(&token)).await.status, 200, "{name}");
        }
        for (token, description) in &refused {
            assert_denied(
                &service.ask(&bearer(token)).await,
                401,
                &denied("invalid_token", description),
                name,
            );
        }
    }
}

/// For the adapters with a handler that asks.
fn assert_lacks_cancel(answer: &Answer) {
    let (challenge, body) = denied("insufficient_scope", "the token lacks a required scope");
    assert_denied(answer, 403, &(format!(r#"{challenge}, scope="orders:cancel""#), body), "the handler");
}

/// RFC 6750 §3 wants at least one parameter.
#[tokio::test]
async fn a_challenge_has_a_realm_unless_told_too() {
    for (name, service) in services(&ResourceServer::new(verifier())).await {
        let answer = service.ask(&orders()).await;
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="api""#), "{name}");
    }
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn keys_that_are_not_there_are_not_the_fault_of_the_token() {
    // Nothing listens at the port that nobody may have.
    let verifier = crate::token::builder().jwks_url("http://127.0.0.1:1/").build().unwrap();
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": "the keys of the issuer are unavailable",
    });
    for (name, service) in services(&verifier.into()).await {
        let answer = service.ask(&bearer(&good())).await;
        assert_eq!(answer.status, 503, "{name}");
        assert_eq!(answer.header("www-authenticate"), None, "{name}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{name}");
        assert_no_store_json(&answer, &body, name);
    }
}

#[tokio::test]
async fn a_client_finds_out_where_tokens_come_from() {
    let resource = ProtectedResource::new("https://api.example/orders")
        .unwrap()
        .authorization_server("https://auth.example")
        .scopes(&["orders:read"]);
    let path = "/.well-known/oauth-protected-resource/orders";
    let document = json!({
        "resource": "https://api.example/orders",
        "authorization_servers": ["https://auth.example"],
        "scopes_supported": ["orders:read"],
        "bearer_methods_supported": ["header"],
    });
    for (name, service) in services(&server().protected_resource(resource)).await {
        let challenge = format!(r#"Bearer {QUOTED_REALM}, resource_metadata="https://api.example{path}""#);
        let answer = service.ask(&orders()).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(&*challenge)), "{name}");

        let answer = service.ask(&Request::new("GET", path)).await;
        assert_eq!((answer.status, answer.json()), (200, document.clone()), "{name}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
        assert_eq!(service.ask(&Request::new("HEAD", path)).await.status, 200, "{name}");

        let others = [("POST", path), ("GET", "/.well-known/oauth-protected-resource"), ("GET", "/orders")];
        for (method, path) in others {
            assert_ne!(service.ask(&Request::new(method, path)).await.status, 200, "{name}: {method} {path}");
        }
    }
}
