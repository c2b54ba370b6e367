//! A feed that goes wrong, followed by the consumers: what is refused changes nothing, and nobody is asked too often.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep, spawn};
use std::time::{Duration, Instant};

use attesto_server::Clock;
use attesto_token::feed::{MAX_FEED_BYTES, RevocationRecord, RevokedBy, Salt};
use attesto_token::{Algorithm, EcPublicKey, Jwk, JwkSet, PublicKey, base64url_encode};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::consumers::{Consumer, PROGRAMS};
use super::programs::Programs;
use crate::process::until;

const EPOCH: u64 = 1_700_000_000_000;
const ENDED: &str = "ended";
const ALIVE: &str = "alive";

#[test]
fn what_is_refused_changes_nothing() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, consumer| {
        let stranger = Signer::new(feed.signer.kid);
        let signed = feed.answer(&feed.signer, 2, 1, ALIVE);
        // Good in every other way.
        let long = feed.long_answer(&feed.signer, 2, 1, ALIVE, MAX_FEED_BYTES * 3 / 4);
        let bad = [
            ("too long", http("200 OK", "", &long)),
            ("too long when decompressed", http("200 OK", "content-encoding: gzip\r\n", &gzip(&long))),
            ("a page", http("200 OK", "", b"<!DOCTYPE html>")),
            ("an error", http("503 Service Unavailable", "", &signed)),
            ("another key", http("200 OK", "", &feed.answer(&stranger, 2, 1, ALIVE))),
            (
                "not all of it",
                http("200 OK", "", &signed).split_last_chunk::<9>().expect("an answer").0.to_vec(),
            ),
            ("nothing", Vec::new()),
        ];
        for (what, answer) in bad {
            let (asked, since) = (feed.say(answer), Instant::now());
            until("it was answered twice", || (feed.asked().len() >= asked + 2).then_some(()));
            assert_eq!(consumer.revoked(ENDED), Some("session".to_owned()), "{what}");
            assert_eq!(consumer.revoked(ALIVE), None, "{what}");
            let age = consumer.age().expect("it has had an answer");
            assert!(
                age >= since.elapsed().as_secs_f64() - 1.2,
                "{what}: {age} s old after {:?}",
                since.elapsed()
            );
            // Else it would wait longer and longer.
            feed.say(http("200 OK", "", &feed.answer(&feed.signer, 1, 1, ENDED)));
            until("it recovers", || (consumer.age()? < 0.5).then_some(()));
        }
    });
}

#[test]
fn after_a_gap_everything_is_asked_for() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, consumer| {
        let asked = feed.say(http("200 OK", "", &feed.answer(&feed.signer, 9, 8, ALIVE)));
        until("it asks again after that", || (feed.asked().len() >= asked + 3).then_some(()));
        let expected = format!("/revocations?epoch={EPOCH}&after=1&wait=25");
        let paths = feed.asked();
        let gap = paths.iter().rposition(|path| *path == expected).expect("a poll");
        assert_eq!(paths[gap + 1], "/revocations", "{paths:?}");
        assert_eq!(consumer.revoked(ALIVE), None);
        feed.say(http("200 OK", "", &feed.answer(&feed.signer, 9, 0, ALIVE)));
        until("it goes on", || consumer.revoked(ALIVE));
        assert_eq!(consumer.revoked(ENDED), Some("session".to_owned()));
    });
}

/// Else an outage of seconds would make services wait for half a minute, after it is over.
#[test]
fn after_a_failure_nobody_waits_for_news() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, consumer| {
        let without = format!("/revocations?epoch={EPOCH}&after=1");
        let failing_since = feed.say(http("503 Service Unavailable", "", b""));
        until("it asks again, twice", || (feed.asked().len() >= failing_since + 3).then_some(()));
        assert!(feed.asked()[failing_since + 1..].iter().all(|path| *path == without), "{:?}", feed.asked());
        feed.say(http("200 OK", "", &feed.answer(&feed.signer, 1, 1, ENDED)));
        until("it recovers", || (consumer.age()? < 0.5).then_some(()));
        assert_eq!(feed.asked().last(), Some(&without));
        until("it waits again", || (*feed.asked().last()? == format!("{without}&wait=25")).then_some(()));
    });
}

/// Whoever is asked may be shown an access token.
#[test]
fn nobody_else_is_asked() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, consumer| {
        let elsewhere = Feed::start();
        for status in ["302 Found", "307 Temporary Redirect"] {
            let location = format!("location: {}/revocations\r\n", elsewhere.issuer());
            let asked = feed.say(http(status, &location, b""));
            until("it asks again", || (feed.asked().len() >= asked + 2).then_some(()));
            assert!(elsewhere.told.lock().unwrap().asked.is_empty(), "{status} is followed");
            feed.say(http("200 OK", "", &feed.answer(&feed.signer, 1, 1, ENDED)));
            until("it recovers", || (consumer.age()? < 0.5).then_some(()));
        }
    });
}

#[test]
fn a_new_key_is_fetched_and_not_too_often() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, consumer| {
        let began = Instant::now();
        assert_eq!(feed.keys_fetched(), 1);
        let new = Signer::new("new");
        feed.say(http("200 OK", "", &feed.answer(&new, 2, 1, ALIVE)));
        feed.publish(&[&feed.signer, &new]);
        until("the new key is taken", || consumer.revoked(ALIVE));
        assert_eq!(feed.keys_fetched(), 2);
        assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
    });
}

#[test]
fn nobody_is_asked_too_often() {
    let Some(programs) = Programs::find() else { return };
    for_each(&programs, |feed, _| {
        let requests_in = |seconds| {
            let before = feed.asked().len();
            sleep(Duration::from_secs(seconds));
            feed.asked().len() - before
        };
        let idle = requests_in(4);
        assert!((2..=5).contains(&idle), "{idle} requests in 4 s for nothing new");
        feed.say(http("500 Internal Server Error", "", b""));
        // The first pauses are shorter than 1, 2 and 4 seconds, and longer than half of that.
        let failing = requests_in(7);
        assert!((2..=6).contains(&failing), "{failing} requests in 7 s, all in vain");
    });
}

/// Runs both consumers at the same time, each with a feed of its own, in which one session has ended.
fn for_each(programs: &Programs, test: impl Fn(&Feed, &Consumer) + Sync) {
    scope(|scope| {
        for program in PROGRAMS {
            let test = &test;
            scope.spawn(move || {
                let feed = Feed::start();
                let consumer = Consumer::start(programs, program, &feed.issuer());
                test(&feed, &consumer);
            });
        }
    });
}

impl Consumer {
    fn revoked(&self, sid: &str) -> Option<String> {
        let answer = self.ask("k", &json!({"sid": sid, "iat": 1}));
        answer["revoked"].as_str().map(str::to_owned)
    }

    fn age(&self) -> Option<f64> {
        self.ask("k", &json!({}))["age"].as_f64()
    }
}

/// Answers whatever it is told to.
struct Feed {
    signer: Signer,
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    keys: Vec<u8>,
    answer: Vec<u8>,
    /// The paths of all requests.
    asked: Vec<String>,
}

impl Feed {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let feed = Self { signer: Signer::new("old"), address, told: Arc::default() };
        feed.publish(&[&feed.signer]);
        feed.say(http("200 OK", "", &feed.answer(&feed.signer, 1, 0, ENDED)));
        let told = Arc::clone(&feed.told);
        spawn(move || {
            for connection in listener.incoming() {
                // Whoever refuses an answer may close before its end.
                let _ = connection.and_then(|connection| respond(connection, &told));
            }
        });
        feed
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An answer with one record, which ends a session.
    fn answer(&self, signer: &Signer, seq: u64, after: u64, sid: &str) -> Vec<u8> {
        self.long_answer(signer, seq, after, sid, 0)
    }

    /// The same with that much of what nobody knows.
    fn long_answer(&self, signer: &Signer, seq: u64, after: u64, sid: &str, more: usize) -> Vec<u8> {
        let now = u32::try_from(Clock::system().now().seconds()).unwrap();
        let salt = Salt::new([7; 16]).unwrap();
        let id = salt.hash(RevokedBy::Session, sid);
        let record = RevocationRecord { kind: RevokedBy::Session, id, not_before: now, expires: now + 600 };
        signer.sign(&json!({
            "iss": self.issuer(), "iat": now, "exp": now + 60, "epoch": EPOCH, "seq": seq, "after": after,
            "salt": base64url_encode(salt.as_bytes()), "records": base64url_encode(record.to_bytes()),
            "more": "a".repeat(more),
        }))
    }

    /// Answers this from now on. Returns how often it had been asked.
    fn say(&self, answer: Vec<u8>) -> usize {
        let mut told = self.told.lock().unwrap();
        told.answer = answer;
        told.asked.iter().filter(|path| !is_for_keys(path)).count()
    }

    fn publish(&self, signers: &[&Signer]) {
        let set = JwkSet::new(signers.iter().map(|signer| signer.jwk()).collect());
        self.told.lock().unwrap().keys = http("200 OK", "", &serde_json::to_vec(&set).unwrap());
    }

    /// The requests for the feed itself.
    fn asked(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.asked.iter().filter(|path| !is_for_keys(path)).cloned().collect()
    }

    fn keys_fetched(&self) -> usize {
        self.told.lock().unwrap().asked.iter().filter(|path| is_for_keys(path)).count()
    }
}

fn is_for_keys(path: &str) -> bool {
    path == "/revocations/keys"
}

fn respond(connection: TcpStream, told: &Mutex<Told>) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).expect("a path").to_owned();
    let answer = {
        let mut told = told.lock().unwrap();
        let answer = if is_for_keys(&path) { told.keys.clone() } else { told.answer.clone() };
        told.asked.push(path);
        answer
    };
    connection.get_mut().write_all(&answer)
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let program = "import gzip, sys; sys.stdout.buffer.write(gzip.compress(open(sys.argv[1], 'rb').read()))";
    let output = Command::new("python3").args(["-c", program]).arg(file.path()).output().unwrap();
    assert!(output.status.success() && output.stdout.len() < text.len() / 100, "{output:?}");
    output.stdout
}

/// A key of a feed.
struct Signer {
    kid: &'static str,
    key: EcdsaKeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self { kid, key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    fn jwk(&self) -> Jwk {
        let point = self.key.public_key().as_ref();
        let key = PublicKey::Ec(EcPublicKey::p256(&point[1..33], &point[33..]).unwrap());
        Jwk { kid: self.kid.to_owned(), algorithm: Algorithm::Es256, key }
    }

    fn sign(&self, claims: &Value) -> Vec<u8> {
        let header = json!({"typ": "revocations+jwt", "alg": "ES256", "kid": self.kid});
        let [header, payload] = [&header, claims].map(|part| base64url_encode(part.to_string()));
        let signature =
            self.key.sign(&SystemRandom::new(), format!("{header}.{payload}").as_bytes()).unwrap();
        format!("{header}.{payload}.{}", base64url_encode(signature)).into_bytes()
    }
}
