use std::io::Write;
use std::pin::Pin;
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use attesto_verifier::{
    Error, Event, Fetch, FetchError, FetchRequest, FetchResponse, Verifier, VerifierBuilder,
};
use serde_json::{Value, json};

use crate::issuer::{Answer, Authority, Issuer, PATIENCE, has_fetched, until, until_here, with_both_drivers};
use crate::token::{KEY, OTHER_KEY, claims};

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
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
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
    let issuer = Issuer::start(Answer::with_head("503 Service Unavailable", ""));
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
    let issuer = Issuer::start(Answer::with_head("304 Not Modified", ""));
    let verifier = issuer.verifier();
    until("the fetch fails", || verifier.status().keys.last_error.is_some()).await;
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeysUnavailable));
}

/// Whatever goes wrong, the keys that are there go on working. The body is a good set of other keys wherever it can
/// be, so that only the fault itself keeps it out.
async fn keeps_the_old_set(fault: Answer, reason: &str) {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
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

/// A gigabyte is not read to its end, by either client.
#[test]
fn a_gigabyte_is_refused_soon() {
    with_both_drivers(|build| {
        let (issuer, verifier) = refreshed_with(Answer::Endless, build);
        until_here("it is refused", || verifier.status().keys.last_error.is_some());
        let error = verifier.status().keys.last_error.unwrap();
        assert!(error.contains("larger than 256 KiB"), "{error}");
        // What lies in the buffers of both sockets was sent as well.
        assert!(issuer.sent() < 100_000_000, "{} bytes", issuer.sent());
    });
}

/// The time limit is for the whole answer: a byte now and then does not extend it.
#[test]
fn a_dripping_answer_is_given_up() {
    with_both_drivers(|build| {
        let (_issuer, verifier) = refreshed_with(Answer::Dripping, build);
        until_here("it is given up", || verifier.status().keys.last_error.is_some());
        assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
    });
}

/// A good set under many blanks: nobody asked for it to be packed, and nobody unpacks it.
#[test]
fn a_packed_answer_is_refused() {
    with_both_drivers(|build| {
        let packed = gzip(&(" ".repeat(100 * 1024) + &other_keys()));
        let head = "200 OK\ncontent-type: application/json\ncontent-encoding: gzip";
        let (issuer, verifier) = refreshed_with(Answer::with_head(head, packed), build);
        until_here("it is refused", || verifier.status().keys.last_error.is_some());
        assert_eq!(*verifier.status().keys.kids[0], *KEY.jwk.kid);
        for request in issuer.requests() {
            assert!(!request.to_ascii_lowercase().contains("accept-encoding: gzip"), "{request}");
        }
    });
}

#[test]
fn a_redirect_to_another_host_is_not_followed() {
    with_both_drivers(|build| {
        let elsewhere = Issuer::start(Answer::keys(&OTHER_KEY.jwks()));
        for status in [
            "301 Moved Permanently",
            "302 Found",
            "303 See Other",
            "307 Temporary Redirect",
            "308 Permanent Redirect",
        ] {
            let head = format!("{status}\nlocation: {}", elsewhere.url());
            let (_issuer, verifier) = refreshed_with(Answer::with_head(&head, ""), build);
            until_here(status, || verifier.status().keys.last_error.is_some());
            let error = verifier.status().keys.last_error.unwrap();
            assert!(error.contains(&status[..3]), "{error}");
        }
        assert!(elsewhere.targets().is_empty());
    });
}

/// A verifier that has its keys, and gets this when it asks again.
fn refreshed_with(answer: Answer, build: fn(VerifierBuilder) -> Verifier) -> (Issuer, Verifier) {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier = build(issuer.builder());
    until_here("the first fetch is over", || has_fetched(&verifier));
    issuer.answers(answer);
    assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
    (issuer, verifier)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[tokio::test]
async fn a_redirect_keeps_the_old_set() {
    let elsewhere = Answer::with_head("302 Found\nlocation: /elsewhere.json", other_keys());
    keeps_the_old_set(elsewhere, "302").await;
}

#[tokio::test]
async fn a_rotation_is_picked_up_by_its_first_token() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
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
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let interval = Duration::from_secs(1);
    let verifier = issuer.builder().refresh_interval(interval).build().unwrap();
    verifier.ready(PATIENCE).await.unwrap();
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    until("the old key is withdrawn", || *verifier.status().keys.kids[0] == *OTHER_KEY.jwk.kid).await;
}

#[tokio::test]
async fn an_unchanged_set_is_renewed() {
    let set = serde_json::to_string(&KEY.jwks()).unwrap();
    let issuer = Issuer::start(Answer::with_head("200 OK\netag: \"v1\"", set));
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

/// That the issuer's set is unchanged says nothing of a set that is not the issuer's.
#[tokio::test]
async fn keys_that_were_put_in_are_not_confirmed_by_the_issuer() {
    let set = serde_json::to_string(&KEY.jwks()).unwrap();
    let issuer = Issuer::start(Answer::with_head("200 OK\netag: \"v1\"", &*set));
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    verifier.replace_keys(&OTHER_KEY.jwks()).unwrap();
    assert_eq!(verdict(&verifier, &OTHER_KEY.token(&claims())), Ok(()));
    issuer.answers(Answer::with_head("304 Not Modified\netag: \"v1\"", ""));
    assert_eq!(verifier.refresh_now().await, Err(Error::KeysUnavailable));
    assert!(verifier.status().keys.last_error.unwrap().contains("replaced the keys"));
    issuer.answers(Answer::ok(set));
    until("the issuer's own are back", || verdict(&verifier, &KEY.token(&claims())).is_ok()).await;
    assert!(!issuer.requests().last().unwrap().contains("if-none-match"), "a whole set was asked for");
}

/// Whoever writes events to a log is not made to write one for each forged token.
#[tokio::test]
async fn forged_tokens_cause_few_events() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let verifier = issuer.builder().on_event(move |event| {
        if matches!(event, Event::UnknownKid | Event::RateLimited) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let verifier = verifier.build().unwrap();
    verifier.ready(PATIENCE).await.unwrap();
    for _ in 0..1_000 {
        assert_eq!(verdict(&verifier, &forged()), Err(Error::KeyUnknown));
        tokio::task::yield_now().await;
    }
    let (told, fetches) = (count.load(Ordering::SeqCst), issuer.requests().len());
    assert!(told > 0 && told <= 2 * fetches, "{told} events beside {fetches} fetches");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_tokens_cause_few_fetches() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
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
    let fetches = issuer.requests().len();
    let gaps = usize::try_from(started.elapsed().as_secs() / 10).unwrap();
    assert!(fetches <= 2 + gaps, "{fetches} fetches");
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_signature_causes_no_fetch() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
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
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier = issuer.verifier();
    until("the first fetch is over", || has_fetched(&verifier)).await;
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
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier = issuer.verifier();
    verifier.ready(PATIENCE).await.unwrap();
    let clone = verifier.clone();
    drop(verifier);
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    let new = OTHER_KEY.token(&claims());
    until("a clone keeps it alive", || verdict(&clone, &new).is_ok()).await;

    // A request for the feed may take 35 seconds, were it not for the drop.
    let authority = Authority::start();
    let verifier = authority.builder().build().unwrap();
    until("it listens", || authority.issuer.targets().len() == 4).await;
    let dropped = Instant::now();
    drop(verifier);
    until("the connection is closed", || authority.issuer.hung_up() == 1).await;
    assert!(dropped.elapsed() < Duration::from_secs(30), "closed by the time-out, not by the drop");
}

/// Neither tasks nor threads outlive the verifier, whatever they were at.
#[test]
fn nothing_goes_on_after_the_last_verifier() {
    struct Fetched {
        _as_long_as: Arc<()>,
        fails: bool,
    }

    impl Fetch for Fetched {
        fn get<'a>(
            &'a self,
            request: FetchRequest<'a>,
        ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
            let keys = Ok(FetchResponse::new(200, serde_json::to_string(&KEY.jwks()).unwrap()));
            let fails = self.fails || request.url.contains("revocations");
            Box::pin(async move { if fails { Err(FetchError::new("down")) } else { keys } })
        }
    }

    with_both_drivers(|build| {
        let path = env::temp_dir().join(format!("attesto-verifier-ends-{}", process::id()));
        for fails in [false, true] {
            let (fetching, telling) = (Arc::new(()), Arc::new(()));
            let told = Arc::clone(&telling);
            let verifier = crate::token::builder()
                .fetcher(Fetched { _as_long_as: Arc::clone(&fetching), fails })
                .on_event(move |_| assert!(Arc::strong_count(&told) > 0))
                .state_file(&path);
            let verifier = build(verifier);
            until_here("it has asked", || verifier.status().keys.fetches > 0);
            assert!(Arc::strong_count(&fetching) > 1 && Arc::strong_count(&telling) > 1);
            drop(verifier);
            until_here("tasks and threads are gone", || Arc::strong_count(&fetching) == 1);
            until_here("so is who writes the state file", || Arc::strong_count(&telling) == 1);
        }
        let _ = fs::remove_file(&path);
    });
}

/// A fetcher of one's own that panics: what is known serves on, and nobody believes that it is kept up to date.
#[test]
fn a_fetcher_that_panics_is_seen() {
    struct Panics;

    impl Fetch for Panics {
        fn get<'a>(
            &'a self,
            _: FetchRequest<'a>,
        ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
            Box::pin(async { panic!("a fetcher") })
        }
    }

    with_both_drivers(|build| {
        let seed = serde_json::to_string(&KEY.jwks()).unwrap();
        let wait = 2 * PATIENCE;
        let builder = crate::token::builder().seed_jwks(seed).unknown_kid(Duration::from_secs(10), wait);
        let verifier = build(builder.fetcher(Panics));
        let started = Instant::now();
        assert_eq!(verifier.verify_blocking::<Value>(&forged()).map(drop), Err(Error::KeyUnknown));
        assert_eq!(verifier.refresh_now_blocking(), Err(Error::KeysUnavailable));
        assert!(started.elapsed() < PATIENCE);
        until_here("the keys are not followed", || verifier.status().keys.last_error.is_some());
        until_here("nor is the feed", || verifier.status().revocations.unwrap().last_error.is_some());
    });
}

#[test]
fn a_runtime_that_is_gone_is_seen() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entered = runtime.enter();
    let verifier = issuer.builder().unknown_kid(Duration::from_secs(1), 2 * PATIENCE).build().unwrap();
    drop(entered);
    verifier.ready_blocking(PATIENCE).unwrap();
    drop(runtime);
    let error = verifier.status().keys.last_error.unwrap();
    assert!(error.contains("the runtime is gone"), "{error}");
    let started = Instant::now();
    assert_eq!(verifier.verify_blocking::<Value>(&forged()).map(drop), Err(Error::KeyUnknown));
    let other = tokio::runtime::Runtime::new().unwrap();
    other.block_on(async {
        assert_eq!(verifier.verify_fresh::<Value>(&forged()).await.map(drop), Err(Error::KeyUnknown));
        assert_eq!(verifier.ready(2 * PATIENCE).await, Ok(()));
        assert_eq!(verifier.refresh_now().await, Err(Error::KeysUnavailable));
    });
    assert!(started.elapsed() < PATIENCE, "nobody waits for what does not come");
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
}

#[test]
fn a_seed_serves_while_the_issuer_is_down() {
    with_both_drivers(|build| {
        let issuer = Issuer::start(Answer::unavailable());
        let seed = serde_json::to_string(&KEY.jwks()).unwrap();
        let verifier = build(issuer.builder().seed_jwks(seed));
        assert_eq!(verifier.ready_blocking(Duration::ZERO), Ok(()));
        until_here("the first fetch fails", || verifier.status().keys.last_error.is_some());
        assert_eq!(verdict(&verifier, &KEY.token(&claims())), Ok(()));
        issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
        let new = OTHER_KEY.token(&claims());
        until_here("the issuer's own keys are taken", || verdict(&verifier, &new).is_ok());
        assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeyUnknown));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_costs_one_fetch_however_many_tasks_wait() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier = issuer.builder().unknown_kid(Duration::from_secs(3_600), PATIENCE).build().unwrap();
    until("the first fetch is over", || has_fetched(&verifier)).await;
    let (begun, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (release, answer) = (Arc::clone(&released), Answer::keys(&OTHER_KEY.jwks()));
    issuer.serves(move |_| if release.load(Ordering::SeqCst) { answer.clone() } else { Answer::Later });
    let new = OTHER_KEY.token(&claims());
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let (verifier, begun, new) = (verifier.clone(), Arc::clone(&begun), new.clone());
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                verifier.verify_fresh::<Value>(&new).await.map(drop)
            })
        })
        .collect();
    until("all of them ask", || begun.load(Ordering::SeqCst) == 1_000 && issuer.requests().len() == 2).await;
    released.store(true, Ordering::SeqCst);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(()));
    }
    assert_eq!(issuer.requests().len(), 2);
}

#[tokio::test]
async fn who_waits_does_so_for_a_fetch_alone() {
    let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
    let verifier = issuer.builder().unknown_kid(Duration::from_secs(86_400), 2 * PATIENCE).build().unwrap();
    verifier.ready(PATIENCE).await.unwrap();
    let started = Instant::now();
    // The first one waits for its fetch. The next is the refresh, in about ten minutes.
    for _ in 0..3 {
        assert_eq!(verifier.verify_fresh::<Value>(&forged()).await.map(drop), Err(Error::KeyUnknown));
    }
    issuer.answers(Answer::unavailable());
    assert_eq!(verifier.refresh_now().await, Err(Error::KeysUnavailable));
    issuer.answers(Answer::keys(&OTHER_KEY.jwks()));
    assert_eq!(verifier.refresh_now().await, Ok(()));
    assert_eq!(verifier.verify_fresh::<Value>(&OTHER_KEY.token(&claims())).await.map(drop), Ok(()));
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn keys_alone_are_not_all_there_is_to_wait_for() {
    let authority = Authority::start();
    authority.published().feed_keys.keys.clear();
    let verifier = authority.builder().build().unwrap();
    until("there are keys", || !verifier.status().keys.unavailable).await;
    let ready = verifier.ready(Duration::from_millis(50)).await;
    assert_eq!(ready, Err(Error::RevocationsUnavailable));
    authority.published().feed_keys = crate::token::EC_KEY.jwks();
    assert_eq!(verifier.ready(PATIENCE).await, Ok(()));
}
