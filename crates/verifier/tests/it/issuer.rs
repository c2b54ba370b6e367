//! A small HTTP server on a loopback port that publishes keys and a revocation feed, well or badly.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use attesto_token::base64url_encode;
use attesto_token::feed::{FeedClaims, RevocationRecord, RevokedBy, Salt};
use attesto_verifier::{Clock, Feed, JwkSet, Revocations, Verifier, VerifierBuilder};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::token::{EC_KEY, ISSUER, KEY, NOW, SigningKey, builder};

/// Longer than anything takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) enum Answer {
    /// Status line and headers, and the body that belongs to them.
    Text { head: String, body: Vec<u8> },
    /// Says that the body is one byte longer than it is.
    CutBody(String),
    /// A gigabyte of blanks.
    Endless,
    /// A good status, and then a byte now and then.
    Dripping,
    /// Reads the request and never answers.
    Hang,
    /// There is nothing to say yet.
    Later,
}

impl Answer {
    pub(crate) fn keys(jwks: &JwkSet) -> Self {
        Self::ok(serde_json::to_string(jwks).unwrap())
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::with_head("200 OK", body)
    }

    pub(crate) fn unavailable() -> Self {
        Self::with_head("503 Service Unavailable", "")
    }

    /// `head` is the status and, on further lines, headers.
    pub(crate) fn with_head(head: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Text { head: head.to_owned(), body: body.into() }
    }
}

/// Serves until it is dropped.
pub(crate) struct Issuer {
    port: u16,
    state: Arc<Mutex<State>>,
    stopped: Arc<Notify>,
}

struct State {
    answer: Handler,
    requests: Vec<String>,
    hung_up: usize,
    sent: usize,
}

type Handler = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

impl Issuer {
    pub(crate) fn start(answer: Answer) -> Self {
        Self::serving(move |_| answer.clone())
    }

    /// Answers by the target of the request.
    pub(crate) fn serving(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { answer: Arc::new(answer), requests: Vec::new(), hung_up: 0, sent: 0 };
        let (state, stopped) = (Arc::new(Mutex::new(state)), Arc::new(Notify::new()));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&stopped));
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let accept = async {
                    while let Ok((connection, _)) = listener.accept().await {
                        tokio::spawn(serve(connection, Arc::clone(&shared)));
                    }
                };
                tokio::select! { () = accept => {}, () = stop.notified() => {} }
            });
        });
        Self { port, state, stopped }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/jwks.json", self.origin())
    }

    pub(crate) fn builder(&self) -> VerifierBuilder {
        builder().jwks_url(self.url()).revocations(Revocations::Off)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        self.builder().build().unwrap()
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.serves(move |_| answer.clone());
    }

    pub(crate) fn serves(&self, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) {
        self.state().answer = Arc::new(answer);
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// The targets of all requests so far.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.requests().iter().map(|request| target(request).to_owned()).collect()
    }

    /// How many clients have closed the connection while they waited for an answer.
    pub(crate) fn hung_up(&self) -> usize {
        self.state().hung_up
    }

    /// How many bytes of endless bodies were taken by a client, or by the buffers on the way to it.
    pub(crate) fn sent(&self) -> usize {
        self.state().sent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stopped.notify_one();
    }
}

fn target(request: &str) -> &str {
    request.split(' ').nth(1).unwrap()
}

async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    state.lock().unwrap().requests.push(request.clone());
    let hung_up = || state.lock().unwrap().hung_up += 1;
    let answer = loop {
        let handler = Arc::clone(&state.lock().unwrap().answer);
        match handler(target(&request)) {
            Answer::Later => {
                let pause = tokio::time::timeout(Duration::from_millis(5), connection.read_u8());
                if pause.await.is_ok() {
                    return hung_up();
                }
            }
            answer => break answer,
        }
    };
    let (head, body, length) = match answer {
        Answer::Text { head, body } => (head, body.clone(), body.len()),
        Answer::CutBody(body) => ("200 OK".to_owned(), body.clone().into(), body.len() + 1),
        Answer::Endless => return send_endlessly(connection, &state).await,
        Answer::Dripping => return drip(connection).await,
        Answer::Hang | Answer::Later => {
            let _ = connection.read_u8().await;
            return hung_up();
        }
    };
    let head = head.replace('\n', "\r\n");
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // The client may stop reading before the end of a body that is too large.
    let _ = connection.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = connection.shutdown().await;
}

async fn send_endlessly(mut connection: TcpStream, state: &Mutex<State>) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
    let blanks = vec![b' '; 64 * 1024];
    let mut written = connection.write_all(head).await;
    while written.is_ok() && state.lock().unwrap().sent < 1_000_000_000 {
        written = connection.write_all(&blanks).await;
        state.lock().unwrap().sent += blanks.len();
    }
}

async fn drip(mut connection: TcpStream) {
    let mut written = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
    while written.is_ok() {
        tokio::time::sleep(Duration::from_millis(300)).await;
        written = connection.write_all(b" ").await;
    }
}

/// A server that publishes keys and a feed as Attesto does.
pub(crate) struct Authority {
    pub(crate) issuer: Issuer,
    published: Arc<Mutex<Published>>,
}

pub(crate) struct Published {
    pub(crate) token_keys: JwkSet,
    pub(crate) feed_keys: JwkSet,
    pub(crate) signer: &'static SigningKey,
    pub(crate) epoch: u64,
    pub(crate) salt: [u8; 16],
    /// The position of a record is its place, from 1 on.
    pub(crate) records: Vec<RevocationRecord>,
    /// What is answered first, instead.
    pub(crate) instead: VecDeque<Answer>,
}

impl Authority {
    /// It signs tokens with `KEY`, and its feed with `EC_KEY`.
    pub(crate) fn start() -> Self {
        let published = Arc::new(Mutex::new(Published {
            token_keys: KEY.jwks(),
            feed_keys: EC_KEY.jwks(),
            signer: &EC_KEY,
            epoch: 5,
            salt: [7; 16],
            records: Vec::new(),
            instead: VecDeque::new(),
        }));
        let shared = Arc::clone(&published);
        let issuer = Issuer::serving(move |target| shared.lock().unwrap().answer(target));
        Self { issuer, published }
    }

    pub(crate) fn builder(&self) -> VerifierBuilder {
        let origin = self.issuer.origin();
        builder().jwks_url(format!("{origin}/.well-known/jwks.json")).revocations(self.feed())
    }

    pub(crate) fn feed(&self) -> Feed {
        Feed::new().url(format!("{}/revocations", self.issuer.origin()))
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap()
    }

    pub(crate) fn revoke(&self, kind: RevokedBy, id: &str) {
        self.published().revoke(kind, id);
    }
}

impl Published {
    pub(crate) fn revoke(&mut self, kind: RevokedBy, id: &str) {
        let now = u32::try_from(NOW).unwrap();
        let id = Salt::new(self.salt).unwrap().hash(kind, id);
        self.records.push(RevocationRecord { kind, id, not_before: now + 1, expires: now + 720 });
    }

    fn answer(&mut self, target: &str) -> Answer {
        match target {
            "/.well-known/jwks.json" => return Answer::keys(&self.token_keys),
            "/revocations/keys" => return Answer::keys(&self.feed_keys),
            _ => {}
        }
        if let Some(answer) = self.instead.pop_front() {
            return answer;
        }
        let parameter = |name: &str| {
            let mut parameters = target.split(['?', '&']);
            parameters.find_map(|parameter| parameter.strip_prefix(name)?.parse::<u64>().ok())
        };
        let seq = self.records.len() as u64;
        let after = parameter("after=").filter(|after| *after <= seq);
        match after.filter(|_| parameter("epoch=") == Some(self.epoch)) {
            None => Answer::ok(self.signed(&self.claims(0))),
            Some(after) if after == seq && parameter("wait=") > Some(0) => Answer::Later,
            Some(after) => Answer::ok(self.signed(&self.claims(after))),
        }
    }

    pub(crate) fn claims(&self, after: u64) -> FeedClaims {
        let records = &self.records[usize::try_from(after).unwrap()..];
        FeedClaims {
            iss: ISSUER.to_owned(),
            iat: NOW,
            exp: NOW + 60,
            epoch: self.epoch,
            salt: base64url_encode(self.salt),
            seq: self.records.len() as u64,
            after,
            records: base64url_encode(
                records.iter().flat_map(RevocationRecord::to_bytes).collect::<Vec<_>>(),
            ),
        }
    }

    pub(crate) fn signed(&self, claims: &FeedClaims) -> String {
        signed_by(self.signer, claims)
    }
}

pub(crate) fn signed_by(signer: &SigningKey, claims: &FeedClaims) -> String {
    let header = json!({"typ": "revocations+jwt", "alg": signer.jwk.algorithm, "kid": signer.jwk.kid});
    signer.sign(&header.to_string(), serde_json::to_string(claims).unwrap())
}

/// A clock that can be put forward.
#[derive(Clone)]
pub(crate) struct TestClock {
    /// None if it goes by itself no further.
    began: Option<Instant>,
    monotonic: Arc<AtomicU64>,
    unix: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { began: Some(Instant::now()), monotonic: Arc::default(), unix: Arc::default() }
    }

    /// It only goes when it is put forward.
    pub(crate) fn stopped() -> Self {
        Self { began: None, ..Self::new() }
    }

    /// How long things have taken, and not what time it is.
    pub(crate) fn passed(&self, seconds: u64) {
        self.monotonic.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What time it is.
    pub(crate) fn later(self, seconds: i64) -> Self {
        self.unix.fetch_add(seconds, Ordering::SeqCst);
        self
    }
}

impl Clock for TestClock {
    fn unix_now(&self) -> i64 {
        NOW + self.unix.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
            + Duration::from_secs(self.monotonic.load(Ordering::SeqCst))
    }
}

/// The events of a verifier, as lines.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn listen(&self, builder: VerifierBuilder) -> VerifierBuilder {
        let told = self.clone();
        builder.on_event(move |event| told.0.lock().unwrap().push(event.to_string()))
    }

    /// Whether the verifier is gone, and everything that goes on for it.
    pub(crate) fn is_over(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn of(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

/// Whether the keys are there and the fetch is over: an unknown key that comes between the two causes no other.
pub(crate) fn has_fetched(verifier: &Verifier) -> bool {
    verifier.status().keys.fetches > 0
}

/// Waits until something is true.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "waited in vain: {what}");
}

/// Waits on this thread until something is true.
pub(crate) fn until_here(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The same with a verifier that works in tasks, and with one that works in threads.
pub(crate) fn with_both_drivers(test: impl Fn(fn(VerifierBuilder) -> Verifier)) {
    let runtime = Runtime::new().unwrap();
    let entered = runtime.enter();
    test(|builder| builder.build().unwrap());
    drop(entered);
    #[cfg(feature = "ureq")]
    test(|builder| builder.build_blocking().unwrap());
}
