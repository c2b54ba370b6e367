//! A thousand sessions end in every way that there is, and fifty services refuse their tokens within two seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use attesto_verifier::{Error, Event, Verifier};
use tokio::runtime::Runtime;

use super::{builder, verdict};
use crate::authority::Authority;
use crate::http::Pair;
use crate::load::kid;
use crate::process::until;
use crate::server::{Credentials, Server};
use crate::token::claims;

/// From the end of whatever ended a session to the word of a verifier; the longest for 99 of 100.
const LONGEST_LATENCY: Duration = Duration::from_secs(2);

/// Nobody waits in vain for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

const VERIFIERS: usize = 50;

/// How many sessions end in each way.
const LOGOUTS: usize = 700;
const REPLAYS: usize = 100;
const REVOKED: usize = 20;
const LEAKED: usize = 40;
/// Users whose sessions all end by one command: so many are disabled, and so many get another password.
const USERS: usize = 5;
const SESSIONS_OF_ONE: usize = 14;
const SESSIONS: usize = LOGOUTS + REPLAYS + REVOKED + 2 * USERS * SESSIONS_OF_ONE + LEAKED;
const _: () = assert!(SESSIONS == 1_000);

/// How many end sessions over HTTP at the same time; an operator runs commands meanwhile.
const PEOPLE: usize = 16;

const PASSWORD: &str = "a long password";

/// The same password, hashed in next to no time: what takes long about a sign-in is no matter here.
const QUICK_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$YSBzYWx0IG9mIHNpeHRlZQ$fmz2UW5hzgtPgcNFZ6KfCrio7xulOFORlRh9FIVgb3g";

#[test]
fn fifty_verifiers_refuse_a_thousand_tokens_within_two_seconds() {
    let scene = Scene::set();
    let left = Mutex::new(0..LOGOUTS + REPLAYS);
    let next = || left.lock().unwrap().next();
    scope(|scope| {
        scope.spawn(|| scene.run_commands());
        for _ in 0..PEOPLE {
            scope.spawn(|| {
                while let Some(session) = next() {
                    if session < REPLAYS { scene.replay() } else { scene.log_out() }
                }
            });
        }
    });
    scene.leak();
    scene.judge();
}

/// An authority, and fifty who follow it.
struct Scene {
    authority: Authority,
    server: Server,
    user: Credentials,
    /// One at a time: until it has succeeded, an attempt counts as a guess.
    sign_in: Mutex<()>,
    verifiers: Vec<Following>,
    /// By way: of each session and verifier.
    latencies: Mutex<BTreeMap<&'static str, Vec<Duration>>>,
    _runtime: Runtime,
}

impl Scene {
    fn set() -> Self {
        let authority = Authority::dev();
        let server = authority.start();
        let user = Credentials { password: PASSWORD.to_owned(), ..server.credentials.clone() };
        for index in 0..USERS {
            for name in [disabled(index), changed(index)] {
                authority.run_with(&["users", "add", &name], &format!("{PASSWORD}\n")).done();
            }
        }
        authority.sqlite(&format!("UPDATE users SET password_hash = '{QUICK_HASH}'"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let in_runtime = runtime.enter();
        let verifiers: Vec<_> = (0..VERIFIERS).map(|_| Following::start(&server)).collect();
        drop(in_runtime);
        for following in &verifiers {
            runtime.block_on(following.verifier.ready(PATIENCE)).unwrap();
        }
        Self {
            authority,
            server,
            user,
            sign_in: Mutex::default(),
            verifiers,
            latencies: Mutex::default(),
            _runtime: runtime,
        }
    }

    fn log_out(&self) {
        let pair = self.sign_in(&self.user);
        assert_eq!(self.server.blacklist(&pair.refresh).status, 200);
        self.measure("log-out", &[pair]);
    }

    /// Presents a token whose successor has been used.
    fn replay(&self) {
        let pair = self.sign_in(&self.user);
        let next = self.server.refresh(&pair.refresh).pair();
        self.server.refresh(&next.refresh).pair();
        assert_eq!(self.server.refresh(&pair.refresh).status, 401);
        self.measure("replay", &[pair]);
    }

    fn run_commands(&self) {
        for _ in 0..REVOKED {
            let pair = self.sign_in(&self.user);
            let sid = claims(&pair.access)["sid"].as_str().unwrap().to_owned();
            self.authority.run(&["sessions", "revoke", &sid]).done();
            self.measure("sessions revoke", &[pair]);
        }
        for index in 0..USERS {
            let (name, pairs) = self.sign_in_often(disabled(index));
            self.authority.run(&["users", "disable", &name]).done();
            self.measure("users disable", &pairs);
            let (name, pairs) = self.sign_in_often(changed(index));
            self.authority.run_with(&["users", "password", &name], "another password\n").done();
            self.measure("users password", &pairs);
        }
    }

    fn leak(&self) {
        let pairs: Vec<_> = (0..LEAKED).map(|_| self.sign_in(&self.user)).collect();
        self.authority.run(&["keys", "compromise", &kid(&pairs[0].access)]).done();
        self.measure("keys compromise", &pairs);
        let next = self.server.refresh(&pairs[0].refresh).pair();
        for following in &self.verifiers {
            until("the next key is accepted", || verdict(&following.verifier, &next.access).ok());
        }
    }

    fn sign_in_often(&self, username: String) -> (String, Vec<Pair>) {
        let user = Credentials { username, password: PASSWORD.to_owned() };
        let pairs = (0..SESSIONS_OF_ONE).map(|_| self.sign_in(&user)).collect();
        (user.username, pairs)
    }

    /// A session that everybody knows to be alive.
    fn sign_in(&self, user: &Credentials) -> Pair {
        let turn = self.sign_in.lock().unwrap();
        let pair = self.server.try_sign_in(user).pair();
        drop(turn);
        for following in &self.verifiers {
            assert_eq!(verdict(&following.verifier, &pair.access), Ok(()), "of a new session");
        }
        pair
    }

    /// How long each verifier takes from now on until it refuses each of the tokens.
    fn measure(&self, way: &'static str, ended: &[Pair]) {
        let ended_at = Instant::now();
        let mut accepted: Vec<_> = self
            .verifiers
            .iter()
            .flat_map(|following| ended.iter().map(move |pair| (following, pair.access.as_str(), None)))
            .collect();
        let mut latencies = Vec::new();
        while !accepted.is_empty() {
            accepted.retain_mut(|(following, token, looked_at)| {
                // Read first: what comes after that is looked at again.
                let news = following.news();
                if looked_at.replace(news) == Some(news) || !is_refused(&following.verifier, token) {
                    return true;
                }
                latencies.push(ended_at.elapsed());
                false
            });
            assert!(ended_at.elapsed() < PATIENCE, "{way}: {} are accepted still", accepted.len());
            sleep(Duration::from_millis(5));
        }
        self.latencies.lock().unwrap().entry(way).or_default().extend(latencies);
    }

    fn judge(&self) {
        let of_ways = self.latencies.lock().unwrap();
        for (way, latencies) in &*of_ways {
            println!("{way}: {}", Percentiles::of(latencies.clone()));
        }
        let all = of_ways.values().flatten().copied().collect::<Vec<_>>();
        assert_eq!(all.len(), SESSIONS * VERIFIERS);
        let all = Percentiles::of(all);
        println!("{SESSIONS} sessions, {VERIFIERS} verifiers: {all}");
        assert!(all.p99 <= LONGEST_LATENCY, "{all}");
    }
}

/// A verifier, and how often it has learned something.
struct Following {
    verifier: Verifier,
    news: Arc<AtomicU64>,
}

impl Following {
    fn start(server: &Server) -> Self {
        let news = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&news);
        let builder = builder(server).on_event(move |event| {
            if let Event::KeysRefreshed { .. } | Event::RevocationsRefreshed { .. } = event {
                counter.fetch_add(1, Ordering::Release);
            }
        });
        Self { verifier: builder.build().unwrap(), news }
    }

    fn news(&self) -> u64 {
        self.news.load(Ordering::Acquire)
    }
}

struct Percentiles {
    p50: Duration,
    p99: Duration,
    longest: Duration,
}

impl Percentiles {
    fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let [p50, p99, longest] =
            [50, 99, 100].map(|percent| latencies[(latencies.len() * percent).div_ceil(100) - 1]);
        Self { p50, p99, longest }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, longest } = self;
        write!(f, "p50 {p50:?}, p99 {p99:?}, longest {longest:?}")
    }
}

fn is_refused(verifier: &Verifier, token: &str) -> bool {
    match verdict(verifier, token) {
        Ok(()) => false,
        // A leaked key may be gone before its revocation is there.
        Err(Error::Revoked | Error::KeyUnknown) => true,
        Err(error) => panic!("{error}"),
    }
}

fn disabled(index: usize) -> String {
    format!("disabled-{index}")
}

fn changed(index: usize) -> String {
    format!("changed-{index}")
}
