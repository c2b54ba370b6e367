//! Sessions end in every way that there is, and whoever follows the feed knows within two seconds.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::follower::Following;
use super::programs::Programs;
use crate::authority::Authority;
use crate::http::Pair;
use crate::process::{Process, until};
use crate::server::{Credentials, Server};
use crate::token::{claims, decoded, parts};

pub(super) const PROGRAMS: [&str; 2] = ["consumer.py", "consumer.mjs"];

/// From the end of whatever ended a session to the word of a consumer.
const LONGEST_LATENCY: Duration = Duration::from_secs(2);

/// How a session of eve ends, and the kind of the record. All but the first two are commands.
const WAYS: [(&str, &str); 11] = [
    ("blacklist", "session"),
    ("replay", "session"),
    ("sessions revoke SID", "session"),
    ("users password eve", "subject"),
    ("users claims eve --end-sessions", "subject"),
    ("users disable eve", "subject"),
    ("users delete eve", "subject"),
    ("sessions revoke --user eve", "subject"),
    ("sessions revoke --client simplejwt", "client"),
    ("clients disable simplejwt", "client"),
    ("sessions revoke --all --yes", "all"),
];

/// How many sessions are ended by different people at the same time.
const SESSIONS: usize = 300;
const PEOPLE: usize = 6;

#[test]
fn each_end_reaches_every_consumer_within_two_seconds() {
    let Some(scene) = Scene::set() else { return };
    for (way, kind) in WAYS {
        let eve = scene.eve();
        let pair = scene.server.try_sign_in(&eve).pair();
        let before = scene.consumers.iter().map(|consumer| consumer.revoked_by(&pair.access));
        assert!(before.flatten().next().is_none(), "{way}: a new session is over");
        scene.end(way, &pair);
        let ended_at = Instant::now();
        for consumer in &scene.consumers {
            println!("{way}: {} after {:?}", consumer.name(), consumer.latency(&pair.access, kind, ended_at));
        }
        scene.undo(way);
        let next = scene.server.sign_in();
        sleep(Duration::from_millis(100));
        for consumer in &scene.consumers {
            assert_eq!(
                consumer.revoked_by(&next.access),
                None,
                "{way}: {} refuses the next",
                consumer.name()
            );
        }
    }
    scene.a_leaked_key();
}

#[test]
fn three_hundred_ends_are_known_within_two_seconds() {
    let Some(scene) = Scene::set() else { return };
    let sessions: Vec<_> = (0..SESSIONS).map(|_| scene.server.sign_in()).collect();
    let measured = Mutex::new(Vec::new());
    scope(|scope| {
        for of_one in sessions.chunks(SESSIONS / PEOPLE) {
            let (scene, measured) = (&scene, &measured);
            scope.spawn(move || {
                for pair in of_one {
                    assert_eq!(scene.server.blacklist(&pair.refresh).status, 200);
                    let ended_at = Instant::now();
                    for consumer in &scene.consumers {
                        let latency = consumer.latency(&pair.access, "session", ended_at);
                        measured.lock().unwrap().push((consumer.name(), latency));
                    }
                }
            });
        }
    });
    let measured = measured.into_inner().unwrap();
    for consumer in &scene.consumers {
        let name = consumer.name();
        let mut latencies: Vec<_> =
            measured.iter().filter(|(of, _)| *of == name).map(|(_, latency)| *latency).collect();
        latencies.sort_unstable();
        assert_eq!(latencies.len(), SESSIONS, "{name}");
        let percentile = |percent: usize| latencies[(SESSIONS * percent).div_ceil(100) - 1];
        let [p50, p99, longest] = [50, 99, 100].map(percentile);
        println!("{SESSIONS} sessions, {name}: p50 {p50:?}, p99 {p99:?}, longest {longest:?}");
        assert!(p99 <= LONGEST_LATENCY, "{name}");
    }
}

/// An authority, and three who follow it.
struct Scene {
    authority: Authority,
    server: Server,
    consumers: [Box<dyn Follows>; 3],
    _programs: Programs,
}

impl Scene {
    fn set() -> Option<Self> {
        let programs = Programs::find()?;
        let authority = Authority::dev();
        let server = authority.start();
        let [python, node] = PROGRAMS.map(|file| Consumer::start(&programs, file, &issuer(&server)));
        let consumers: [Box<dyn Follows>; 3] =
            [Box::new(python), Box::new(node), Box::new(Following::start(&server))];
        Some(Self { authority, server, consumers, _programs: programs })
    }

    /// Somebody of whom all sessions may end.
    fn eve(&self) -> Credentials {
        let eve = Credentials { username: "eve".to_owned(), password: "a long password".to_owned() };
        self.command(&["users", "add", &eve.username], &format!("{}\n", eve.password));
        eve
    }

    fn end(&self, way: &str, pair: &Pair) {
        match way {
            "blacklist" => assert_eq!(self.server.blacklist(&pair.refresh).status, 200),
            "replay" => self.replay(pair),
            command => {
                let command = command.replace("SID", &sid(&pair.access));
                // What some of them read: a password, or claims.
                let input = if command.starts_with("users password") { "another password\n" } else { "{}" };
                self.command(&command.split(' ').collect::<Vec<_>>(), input);
            }
        }
    }

    /// Presents a token whose successor has been used.
    fn replay(&self, pair: &Pair) {
        let next = self.server.refresh(&pair.refresh).pair();
        self.server.refresh(&next.refresh).pair();
        assert_eq!(self.server.refresh(&pair.refresh).status, 401);
    }

    fn undo(&self, way: &str) {
        if way != "users delete eve" {
            self.command(&["users", "delete", "eve"], "");
        }
        if way == "clients disable simplejwt" {
            self.command(&["clients", "enable", "simplejwt"], "");
        }
    }

    /// Of tokens, and then of the feed itself.
    fn a_leaked_key(&self) {
        let pair = self.server.sign_in();
        self.command(&["keys", "compromise", &kid(&pair.access)], "");
        let ended_at = Instant::now();
        for consumer in &self.consumers {
            println!("keys compromise: {:?}", consumer.latency(&pair.access, "kid", ended_at));
        }
        let next = self.server.refresh(&pair.refresh).pair();
        for consumer in &self.consumers {
            assert_eq!(consumer.revoked_by(&next.access), None, "{}", consumer.name());
        }
    }

    #[track_caller]
    fn command(&self, command: &[&str], input: &str) {
        self.authority.run_with(command, input).done();
    }
}

/// Somebody who follows the feed, and is asked about tokens meanwhile.
trait Follows: Sync {
    fn name(&self) -> &'static str;

    fn revoked_by(&self, token: &str) -> Option<String>;

    /// How long it took until it said so.
    #[track_caller]
    fn latency(&self, token: &str, kind: &str, ended_at: Instant) -> Duration {
        loop {
            let revoked = self.revoked_by(token);
            let latency = ended_at.elapsed();
            if let Some(revoked) = revoked {
                assert_eq!(revoked, kind, "{}", self.name());
                return latency;
            }
            assert!(latency < LONGEST_LATENCY, "{} does not know after {latency:?}", self.name());
            sleep(Duration::from_millis(5));
        }
    }
}

impl Follows for Consumer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn revoked_by(&self, token: &str) -> Option<String> {
        self.revoked_by(token)
    }
}

impl Follows for Following {
    fn name(&self) -> &'static str {
        "attesto-token"
    }

    fn revoked_by(&self, token: &str) -> Option<String> {
        self.revoked_by(token).map(|kind| kind.as_str().to_owned())
    }
}

/// One of the programs, running.
pub(super) struct Consumer {
    name: &'static str,
    program: Mutex<Program>,
}

struct Program {
    _process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    /// Waits until it has read the feed.
    pub(super) fn start(programs: &Programs, name: &'static str, issuer: &str) -> Self {
        let mut command = programs.command(name);
        command.arg(issuer);
        Self::start_by(command, name)
    }

    pub(super) fn start_by(mut command: Command, name: &'static str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let input = process.0.stdin.take().expect("standard input is a pipe");
        let output = BufReader::new(process.0.stdout.take().expect("standard output is a pipe")).lines();
        let consumer = Self { name, program: Mutex::new(Program { _process: process, input, output }) };
        until("the consumer has the feed", || consumer.ask("k", &json!({}))["age"].as_f64());
        consumer
    }

    pub(super) fn revoked_by(&self, token: &str) -> Option<String> {
        let answer = self.ask(&kid(token), &claims(token));
        answer["revoked"].as_str().map(str::to_owned)
    }

    pub(super) fn ask(&self, kid: &str, claims: &Value) -> Value {
        let mut program = self.program.lock().unwrap();
        writeln!(program.input, "{}", json!({"kid": kid, "claims": claims})).unwrap();
        let line = program.output.next().expect("an answer").unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

pub(super) fn issuer(server: &Server) -> String {
    format!("http://{}", server.address)
}

fn sid(token: &str) -> String {
    claims(token)["sid"].as_str().unwrap().to_owned()
}

fn kid(token: &str) -> String {
    let header: Value = serde_json::from_slice(&decoded(parts(token)[0])).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
