use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use attesto_verifier::{Error, Verifier};
use serde_json::{Value, json};

use crate::issuer::{Answer, Issuer, until};
use crate::token::{KEY, OTHER_KEY, claims};

const PATIENCE: Duration = Duration::from_secs(8);

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

/// Names a key that nobody has.
fn forged() -> String {
    let mut header = KEY.header();
    header["kid"] = json!("forged");
    OTHER_KEY.sign(&header.to_string(), claims().to_string())
}

#[tokio::test]
async fn the_first_keys_are_fetched_at_once() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeysUnavailable), "not yet");
    assert_eq!(verifier.ready(PATIENCE).await, Ok(()));
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
    assert_eq!(*verifier.status().keys.kids[0], *KEY.jwk.kid);
    assert!(verifier.status().keys.age.is_some());
    let request = &issuer.requests()[0];
    assert!(request.starts_with("GET /jwks.json HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("cache-control: no-cache\r\n"), "{request}");
    assert!(!request.contains("if-none-match"), "{request}");
}

/// The environment is read once, at start, so this needs a process of its own.
#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let test = Command::new(env::current_exe().unwrap())
        .args(["--exact", "fetch::the_first_keys_are_fetched_at_once"])
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&test.stdout);
    assert!(report.contains("1 passed"), "{report}");
}

#[tokio::test]
async fn a_verifier_built_with_keys_is_ready() {
    let verifier = crate::token::verifier();
    assert_eq!(verifier.ready(Duration::ZERO).await, Ok(()));
    assert_eq!(verifier.status().keys.age, None);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_asked_again() {
    let issuer = Issuer::start(Answer::with_head("503 Service Unavailable", "")).await;
    let verifier = issuer.verifier();
    until("the first fetch fails", || verifier.status().keys.last_error.is_some()).await;
    assert_eq!(verifier.ready(Duration::ZERO).await, Err(Error::KeysUnavailable));
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeysUnavailable));
    issuer.answers(Answer::keys(&KEY.jwks()));
    assert_eq!(verifier.ready(PATIENCE).await, Ok(()));
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
    assert_eq!(verifier.status().keys.last_error, None);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_no_set() {
    let issuer = Issuer::start(Answer::with_head("304 Not Modified", "")).await;
    let verifier = issuer.verifier();
    until("the fetch fails", || verifier.status().keys.last_error.is_some()).await;
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeysUnavailable));
}

/// Whatever goes wrong, the keys that are there go on working. The body is a good set of other keys wherever it can
/// be, so that only the fault itself keeps it out.
async fn keeps_the_old_set(fault: Answer, reason: &str) {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    issuer.answers(fault);
    assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
    until(reason, || verifier.status().keys.last_error.is_some()).await;
    let error = verifier.status().keys.last_error.unwrap();
    assert!(error.contains(reason), "{error}");
    assert_eq!(verifier.status().keys.kids.len(), 1);
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
    assert_eq!(verdict(&verifier, &OTHER_KEY.token(&claims())), Err(Error::KeyUnknown));
    assert!(issuer.requests().iter().all(|request| request.starts_with("GET /jwks.json ")));
}

fn other_keys() -> String {
    serde_json::to_string(&OTHER_KEY.jwks()).unwrap()
}

#[tokio::test]
async fn an_error_status_keeps_the_old_set() {
    keeps_the_old_set(Answer::with_head("500 Internal Server Error", other_keys()), "500").await;
}

#[tokio::test]
async fn a_hanging_issuer_keeps_the_old_set() {
    keeps_the_old_set(Answer::Hang, "timed out").await;
}

#[tokio::test]
async fn a_cut_body_keeps_the_old_set() {
    keeps_the_old_set(Answer::CutBody(other_keys()), "body").await;
}

#[tokio::test]
async fn a_page_instead_of_a_set_keeps_the_old_set() {
    keeps_the_old_set(Answer::ok("<html>Sign in to the network</html>"), "not a JWK Set").await;
}

#[tokio::test]
async fn an_empty_set_keeps_the_old_set() {
    keeps_the_old_set(Answer::ok(r#"{"keys":[]}"#), "no usable key").await;
}

#[tokio::test]
async fn a_set_of_private_keys_keeps_the_old_set() {
    let private = other_keys().replace(r#""kty""#, r#""d":"AQAB","kty""#);
    keeps_the_old_set(Answer::ok(private), "no usable key").await;
}

#[tokio::test]
async fn a_large_body_keeps_the_old_set() {
    let large = other_keys() + &" ".repeat(300 * 1024);
    keeps_the_old_set(Answer::ok(large), "256 KiB").await;
}

#[tokio::test]
async fn a_redirect_keeps_the_old_set() {
    let elsewhere = Answer::with_head("302 Found\nlocation: /elsewhere.json", other_keys());
    keeps_the_old_set(elsewhere, "302").await;
}

#[tokio::test]
async fn a_rotation_is_picked_up_by_its_first_token() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    let new = OTHER_KEY.token(&claims());
    assert_eq!(verdict(&verifier, &new), Err(Error::KeyUnknown), "at once, without waiting");
    until("the new key is accepted", || verdict(&verifier, &new).is_ok()).await;
    assert_eq!(issuer.requests().len(), 2);
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeyUnknown), "withdrawn");
}

#[tokio::test]
async fn the_set_is_refreshed_at_the_interval() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let interval = Duration::from_secs(1);
    let verifier = issuer.builder().refresh_interval(interval).build().unwrap();
    verifier.ready(PATIENCE).await.unwrap();
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    until("the old key is withdrawn", || *verifier.status().keys.kids[0] == *OTHER_KEY.jwk.kid).await;
}

#[tokio::test]
async fn an_unchanged_set_is_renewed() {
    let set = serde_json::to_string(&KEY.jwks()).unwrap();
    let issuer = Issuer::start(Answer::with_head("200 OK\netag: \"v1\"", set)).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    let loaded = Instant::now();
    issuer.answers(Answer::with_head("304 Not Modified\netag: \"v1\"", ""));
    assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
    until("the age starts again", || verifier.status().keys.age.unwrap() < loaded.elapsed()).await;
    assert!(issuer.requests()[1].contains("if-none-match: \"v1\"\r\n"), "{:?}", issuer.requests());
    assert_eq!(verifier.status().keys.last_error, None);
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_tokens_cause_few_fetches() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    let started = Instant::now();
    let forged = forged();
    for _ in 0..100 {
        for _ in 0..100 {
            assert_eq!(verdict(&verifier, &forged), Err(Error::KeyUnknown));
        }
        tokio::task::yield_now().await;
    }
    until("one refetch", || issuer.requests().len() > 1).await;
    let gaps = usize::try_from(started.elapsed().as_secs() / 10).unwrap();
    assert!(issuer.requests().len() <= 2 + gaps, "{} fetches", issuer.requests().len());
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_signature_causes_no_fetch() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    let bad = OTHER_KEY.sign(&KEY.header().to_string(), claims().to_string());
    let without_kid = KEY.sign(r#"{"typ":"at+jwt","alg":"RS256"}"#, claims().to_string());
    for _ in 0..100 {
        assert_eq!(verdict(&verifier, &bad), Err(Error::SignatureInvalid));
        assert_eq!(verdict(&verifier, &without_kid), Err(Error::KeyUnknown));
        tokio::task::yield_now().await;
    }
    // Had one of them caused a fetch, the next would have to wait for ten seconds.
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    let new = OTHER_KEY.token(&claims());
    until("the new key is accepted", || verdict(&verifier, &new).is_ok()).await;
    assert_eq!(issuer.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_refresh_delays_nobody() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    issuer.answers(Answer::Hang);
    assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
    until("the refresh hangs", || issuer.requests().len() == 2).await;
    let token = KEY.token(&claims());
    for _ in 0..1_000 {
        assert_eq!(verdict(&verifier, &token), Ok(()));
    }
    assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
    assert_eq!(issuer.hung_up(), 0, "it hung all the time");
}

#[tokio::test]
async fn the_task_ends_with_the_last_verifier() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks())).await;
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    let clone = verifier.clone();
    drop(verifier);
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    let new = OTHER_KEY.token(&claims());
    until("a clone keeps it alive", || verdict(&clone, &new).is_ok()).await;

    let issuer = Issuer::start(Answer::Hang).await;
    let verifier = issuer.verifier();
    until("the request is there", || issuer.requests().len() == 1).await;
    let dropped = Instant::now();
    drop(verifier);
    until("the connection is closed", || issuer.hung_up() == 1).await;
    assert!(dropped.elapsed() < Duration::from_secs(4), "closed by the time-out, not by the drop");
}
