//! Keys follow each other under load, and no verifier that caches as it may ever refuses a valid token. Time runs fast
//! by configuration: what verifiers may do is cut to its 150th part, and so are the caches that they have of their own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use attesto_server::Clock;
use attesto_token::{Algorithm, JwkSet};
use attesto_verifier::{Revocations, Verifier};
use serde_json::{Map, Value};

use crate::authority::{Authority, CONFIGURATION};
use crate::clients::{Tools, program};
use crate::http::{Connection, get};
use crate::load::{Ends, Load, kid};
use crate::process::{Process, until};
use crate::server::Server;
use crate::token::claims;

/// A key is published for 2 + 2 + 2 + 4 + 0.4 = 10.4 s at least before it signs. Its last token expires 8 s after it
/// stopped, 16 s as far as is known ahead; then it leaves the set after 2 + 2 s more.
const INTERVALS: &str = r#"
allow_short_intervals = true
access_token_lifetime = "8s"
jwks_max_age = "2s"
jwks_stale_while_revalidate = "2s"
verifier_refresh_interval = "4s"
verifier_cache_interval = "2s"
verifier_skew_interval = "400ms"
key_confirmation_interval = "2s"
key_stage_interval = "2s"
key_rotation_interval = "14s"
log = "warn"
"#;

/// `verifier_refresh_interval`, for which jose keeps a set, too.
const REFRESH_INTERVAL: Duration = Duration::from_secs(4);

/// `verifier_cache_interval`, for which PyJWT keeps a set.
const CACHE_INTERVAL: Duration = Duration::from_secs(2);

/// For so long neither of the two asks again for a key that it does not know: 30 s unless told.
const COOLDOWN: Duration = Duration::from_millis(200);

/// What the headers and `verifier_refresh_interval` permit together.
const LONGEST_PERMITTED: Duration = Duration::from_secs(2 + 2 + 4);

/// How many keep a set for that long. They fetch at different moments, so that one of them always has an old one.
const LONGEST_KEEPERS: u32 = 10;

/// They, our crate, PyJWT and jose.
const VERIFIERS: usize = LONGEST_KEEPERS as usize + 3;

/// A token that has less than this left may expire on the way.
const ABOUT_TO_EXPIRE: Duration = Duration::from_millis(500);

const CLIENTS: usize = 4;

/// Of them the first are commanded, as soon as the guard allows; the last one happens by schedule.
const ROTATIONS: usize = 3;
const COMMANDED: usize = 2;

const ISSUER: &str = "http://127.0.0.1:9";
const AUDIENCE: &str = "orders";

#[test]
fn three_rotations_under_load_and_no_valid_token_is_refused() {
    let Some(tools) = Tools::find() else { return };
    let authority = Authority::configured(&[CONFIGURATION, INTERVALS].concat());
    authority.set_up();
    let server = authority.start();
    let (issued, over) = (Issued::default(), AtomicBool::new(false));
    // The first key that everybody has seen signing: on a busy machine one may be gone before all of them watch.
    let first = OnceLock::new();
    let up_to = |rotations: usize| first.get().map_or(usize::MAX, |first| first + rotations);

    let checked: Vec<Checked> = scope(|scope| {
        let verifiers = verifiers(&tools, server.address);
        let checking: Vec<_> = verifiers
            .into_iter()
            .map(|(name, verifier)| {
                let (issued, over) = (&issued, &over);
                scope.spawn(move || check_without_end(name, verifier, issued, over))
            })
            .collect();
        let ends = Ends(&over);
        scope.spawn(|| sign_in_without_end(&server, &issued, &over));
        let load = Load::sign_in(&server, CLIENTS, Duration::from_millis(250));
        load.during(
            server.address,
            |refreshed| issued.add(refreshed.pair().access),
            || {
                first.get_or_init(|| until("all verifiers watch", || issued.last_seen_by_all()));
                for _ in 0..COMMANDED {
                    until("a rotation is permitted", || rotate(&authority));
                }
                until("the schedule rotates", || (issued.kids().len() > up_to(ROTATIONS)).then_some(()));
                until("the first keys are gone", || {
                    (destroyed(&authority) >= up_to(ROTATIONS)).then_some(())
                });
                let last = &issued.kids()[up_to(ROTATIONS)];
                until("all verifiers know the last key", || issued.is_seen_by_all(last).then_some(()));
            },
        );
        drop(ends);
        checking.into_iter().map(|verifier| verifier.join().unwrap()).collect()
    });

    for Checked { name, refused } in &checked {
        println!("{name} refused {}: {:?}", refused.len(), refused.first());
    }
    for Checked { name, refused } in checked {
        assert!(refused.is_empty(), "{name} refused {}, first: {}", refused.len(), refused[0]);
    }
    // Another rotation may have begun when the test ended.
    for kid in &issued.kids()[up_to(0)..=up_to(ROTATIONS)] {
        assert!(issued.is_seen_by_all(kid), "{kid}: {:?}", issued.accepted);
    }
    server.stop();
}

/// New sessions, besides those that are renewed.
fn sign_in_without_end(server: &Server, issued: &Issued, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        issued.add(server.sign_in().access);
        sleep(Duration::from_secs(1));
    }
}

/// As an operator: `None` if it is too early, which the command says. The schedule may come first.
fn rotate(authority: &Authority) -> Option<()> {
    match authority.run(&["keys", "rotate", "--reason", "test"]).any() {
        (Some(0), ..) => Some(()),
        (Some(1), _, line) if line.contains("it signs already") => Some(()),
        (Some(75), _, line) if line.contains("it waits for every cache and verifier") => None,
        other => panic!("{other:?}"),
    }
}

fn destroyed(authority: &Authority) -> usize {
    let keys = authority.json(&["keys", "list"]);
    keys.as_array().unwrap().iter().filter(|key| key["state"] == "destroyed").count()
}

/// Every access token that is still valid, and the keys of all that there ever were, the oldest first.
#[derive(Default)]
struct Issued {
    valid: Mutex<Vec<Arc<Token>>>,
    kids: Mutex<Vec<String>>,
    /// How many tokens of each key, by the name of the verifier.
    accepted: Mutex<BTreeMap<String, BTreeMap<String, usize>>>,
}

struct Token {
    text: String,
    kid: String,
    expires_at: attesto_core::Instant,
}

impl Issued {
    fn add(&self, text: String) {
        let kid = kid(&text);
        let mut kids = self.kids.lock().unwrap();
        if !kids.contains(&kid) {
            kids.push(kid.clone());
        }
        drop(kids);
        let expires_at = attesto_core::Instant::from_seconds(claims(&text)["exp"].as_i64().unwrap());
        self.valid.lock().unwrap().push(Arc::new(Token { text, kid, expires_at }));
    }

    fn valid(&self) -> Vec<Arc<Token>> {
        let mut valid = self.valid.lock().unwrap();
        valid.retain(|token| token.is_valid());
        valid.clone()
    }

    fn kids(&self) -> Vec<String> {
        self.kids.lock().unwrap().clone()
    }

    fn accepted(&self, token: &Token, by: &str) {
        let mut accepted = self.accepted.lock().unwrap();
        *accepted.entry(token.kid.clone()).or_default().entry(by.to_owned()).or_default() += 1;
    }

    /// Whether every verifier has accepted a fair number of its tokens.
    fn is_seen_by_all(&self, kid: &str) -> bool {
        let accepted = self.accepted.lock().unwrap();
        accepted.get(kid).is_some_and(|by| by.len() == VERIFIERS && by.values().all(|count| *count > 10))
    }

    /// The place of the newest key, if everybody has seen it.
    fn last_seen_by_all(&self) -> Option<usize> {
        let kids = self.kids();
        let last = kids.len().checked_sub(1)?;
        self.is_seen_by_all(&kids[last]).then_some(last)
    }
}

impl Token {
    fn is_valid(&self) -> bool {
        Clock::system().now() + ABOUT_TO_EXPIRE < self.expires_at
    }
}

/// What a verifier did.
struct Checked {
    name: String,
    /// Valid tokens.
    refused: Vec<String>,
}

/// Hands every token that is valid to a verifier, the new ones and again and again the older ones.
fn check_without_end(name: String, mut verifier: Kind, issued: &Issued, over: &AtomicBool) -> Checked {
    let mut checked = Checked { name, refused: Vec::new() };
    while !over.load(Ordering::Relaxed) {
        for token in issued.valid() {
            match verifier.verdict(&token.text) {
                Ok(()) => issued.accepted(&token, &checked.name),
                Err(reason) if token.is_valid() => checked.refused.push(reason),
                Err(_) => {}
            }
        }
        sleep(Duration::from_millis(200));
    }
    checked
}

/// The four kinds of verifiers.
enum Kind {
    /// Our crate, which fetches by itself. The runtime is where it does.
    Ours(Verifier, #[expect(dead_code, reason = "it ends with the verifier")] tokio::runtime::Runtime),
    /// PyJWT, or jose.
    Program(Conversation),
    /// Somebody who keeps a set for as long as anybody may.
    LongestKeeper(LongestKeeper),
}

fn verifiers(tools: &Tools, address: SocketAddr) -> Vec<(String, Kind)> {
    let url = format!("http://{address}/.well-known/jwks.json");
    let seconds = |duration: Duration| duration.as_secs_f64().to_string();
    let start = |program: &mut Command, kept_for: &str, duration| {
        program.env("JWKS_URL", &url).env("COOLDOWN", seconds(COOLDOWN)).env(kept_for, seconds(duration));
        Kind::Program(Conversation::start(program))
    };
    let mut pyjwt = program(&tools.python, "pyjwt_service.py", ISSUER, AUDIENCE);
    let mut jose = program(&tools.node, "jose_service.mjs", ISSUER, AUDIENCE);
    let mut verifiers = vec![
        ("attesto-verifier".to_owned(), ours(&url)),
        ("PyJWT".to_owned(), start(&mut pyjwt, "LIFESPAN", CACHE_INTERVAL)),
        ("jose".to_owned(), start(&mut jose, "CACHE_MAX_AGE", REFRESH_INTERVAL)),
    ];
    for number in 0..LONGEST_KEEPERS {
        let until = Instant::now() + number * LONGEST_PERMITTED / LONGEST_KEEPERS;
        let keeper = Kind::LongestKeeper(LongestKeeper::new(address, LONGEST_PERMITTED, until));
        verifiers.push((format!("longest keeper {number}"), keeper));
    }
    verifiers
}

fn ours(url: &str) -> Kind {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let verifier = runtime.block_on(async {
        let builder = Verifier::builder(ISSUER).audience(AUDIENCE).jwks_url(url);
        let builder = builder.revocations(Revocations::Off);
        let verifier = builder.refresh_interval(REFRESH_INTERVAL).build().unwrap();
        verifier.ready(Duration::from_secs(10)).await.unwrap();
        verifier
    });
    Kind::Ours(verifier, runtime)
}

impl Kind {
    fn verdict(&mut self, token: &str) -> Result<(), String> {
        match self {
            Self::Ours(verifier, _) => verdict(verifier, token),
            Self::Program(program) => program.verdict(token),
            Self::LongestKeeper(keeper) => keeper.verdict(token),
        }
    }
}

/// A program that answers each line with a line.
struct Conversation {
    _process: Process,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _process: Process(child), to, from: BufReader::new(from).lines() }
    }

    fn verdict(&mut self, token: &str) -> Result<(), String> {
        writeln!(self.to, "{token}").unwrap();
        let answer = self.from.next().expect("an answer").unwrap();
        if answer == "accepted" { Ok(()) } else { Err(answer) }
    }
}

/// Fetches a set, and asks for no other one before it must, whatever key a token names.
pub(crate) struct LongestKeeper {
    address: SocketAddr,
    verifier: Verifier,
    lifetime: Duration,
    keeps_until: Instant,
}

impl LongestKeeper {
    /// Keeps each set for `lifetime`, and the first one `until` then.
    pub(crate) fn new(address: SocketAddr, lifetime: Duration, until: Instant) -> Self {
        Self { address, verifier: with_keys(&fetch(address)), lifetime, keeps_until: until }
    }

    pub(crate) fn verdict(&mut self, token: &str) -> Result<(), String> {
        if Instant::now() >= self.keeps_until {
            self.verifier.replace_keys(&fetch(self.address)).unwrap();
            self.keeps_until = Instant::now() + self.lifetime;
        }
        verdict(&self.verifier, token)
    }
}

/// A verifier that has these keys, and fetches none.
pub(crate) fn with_keys(set: &JwkSet) -> Verifier {
    let builder = Verifier::builder(ISSUER).audience(AUDIENCE);
    builder.algorithms(&[Algorithm::Rs256, Algorithm::Es256]).build_offline(set).unwrap()
}

pub(crate) fn verdict(verifier: &Verifier, token: &str) -> Result<(), String> {
    verifier.verify::<Map<String, Value>>(token).map(drop).map_err(|error| error.code().to_owned())
}

/// The set as it is published now.
pub(crate) fn fetch(address: SocketAddr) -> JwkSet {
    let answer = Connection::open(address).unwrap().ask(&get("/.well-known/jwks.json")).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    JwkSet::parse(answer.body.as_bytes()).unwrap()
}
