//! The configuration for HAProxy, with the real one: it checks access tokens, and refuses the revoked ones.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use attesto_server::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::programs::{Programs, documented};
use crate::authority::Authority;
use crate::process::{Process, until};
use crate::server::Server;
use crate::token::{claims, with_claim, with_other_signature};

const LONGEST_LATENCY: Duration = Duration::from_secs(2);

/// How old the feed may be in the configuration, and for a test that waits for it.
const MAY_BE_OLD: &str = "-m int gt 60";
const MAY_HARDLY_BE_OLD: &str = "-m int gt 2";

const MAPS: [&str; 2] = ["salts.map", "revoked.map"];

/// Makes a key, writes its public half, and signs a token for each of some seconds from now.
const FORGE: &str = r#"
import json, sys, time
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

asked = json.loads(sys.stdin.readline())
key, now = rsa.generate_private_key(65537, 2048), int(time.time())
pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
open(asked["pem"], "wb").write(pem)
times = [{"iat": now + later, "exp": now + later + 600} for later in asked["later"]]
print(json.dumps([jwt.encode(asked["claims"] | each, key, "RS256", asked["header"]) for each in times]))
"#;

#[test]
fn haproxy_refuses_what_is_revoked() {
    let Some(scene) = Scene::set(MAY_BE_OLD) else { return };
    let _maps = scene.follow();
    let proxy = scene.start();
    let pair = scene.server.sign_in();
    scene.passes(&pair.access);
    for token in [
        "",
        "x",
        &pair.refresh,
        &with_claim(&pair.access, "sub", "somebody"),
        &with_other_signature(&pair.access),
    ] {
        assert_eq!(scene.ask(token), 401, "{token}");
    }

    let sid = text(&claims(&pair.access)["sid"]);
    assert_eq!(scene.server.blacklist(&pair.refresh).status, 200);
    scene.refuses_soon("session", &pair.access);
    scene.ends("sessions revoke", |sid| vec!["sessions", "revoke", sid]);
    scene.ends("subject", |_| vec!["sessions", "revoke", "--user", "dev"]);
    scene.ends("client", |_| vec!["sessions", "revoke", "--client", "simplejwt"]);
    scene.ends("all", |_| vec!["sessions", "revoke", "--all", "--yes"]);
    scene.ends_one_token();
    scene.forgets();

    // What it was told, it knows also after a restart, and goes on from there.
    drop(proxy);
    let _proxy = scene.start();
    assert_eq!(scene.ask(&pair.access), 401, "session {sid}");
    scene.ends("after a restart", |sid| vec!["sessions", "revoke", sid]);

    let pair = scene.server.sign_in();
    scene.passes(&pair.access);
    scene.authority.run(&["keys", "compromise", &scene.kids[0]]).done();
    scene.refuses_soon("kid", &pair.access);
    scene.passes(&scene.server.refresh(&pair.refresh).pair().access);
}

#[test]
fn haproxy_does_not_know_before_it_is_told_nor_when_it_was_long_ago() {
    let Some(scene) = Scene::set(MAY_HARDLY_BE_OLD) else { return };
    for map in MAPS {
        fs::write(scene.path(map), "").unwrap();
    }
    let _proxy = scene.start();
    let pair = scene.server.sign_in();
    assert_eq!(scene.ask(&pair.access), 503);
    let maps = scene.follow();
    until("the map is there", || (scene.ask(&pair.access) == 200).then_some(()));
    drop(maps);
    until("the map is too old", || (scene.ask(&pair.access) == 503).then_some(()));
    assert_eq!(scene.ask("x"), 401, "that much is known");
}

#[test]
fn another_epoch_refuses_what_is_older() {
    let Some(scene) = Scene::set(MAY_BE_OLD) else { return };
    let maps = scene.follow();
    let older = scene.server.sign_in();
    let (salts, epoch) = until("the feed is known", || {
        let salts = fs::read_to_string(scene.path("salts.map")).ok()?;
        let epoch = salts.lines().find(|line| line.starts_with("epoch "))?.to_owned();
        Some((salts, epoch))
    });
    drop(maps);
    fs::write(scene.path("salts.map"), salts.replace(&epoch, "epoch 7")).unwrap();
    let _proxy = scene.start();
    sleep(Duration::from_secs(1));
    let _maps = scene.follow();
    scene.refuses_soon("another epoch", &older.access);
    until("the next second", || (scene.ask(&scene.server.sign_in().access) == 200).then_some(()));
    assert_eq!(scene.ask(&older.access), 401);
}

#[test]
fn haproxy_is_told_though_the_maps_cannot_be_written() {
    let Some(scene) = Scene::set(MAY_BE_OLD) else { return };
    let log = scene.path("maps.log");
    let said_blind = || {
        let said = fs::read_to_string(&log).unwrap();
        said.matches("cannot be written, so the next start of HAProxy would be blind").count()
    };
    // Nothing can be written where a folder lies.
    let drafts = ["salts.new", "revoked.new"].map(|draft| scene.path(draft));
    for draft in &drafts {
        fs::create_dir(draft).unwrap();
    }
    let _maps = Process(scene.follower().stderr(File::create(&log).unwrap()).spawn().unwrap());
    until("it says so at its start, and after an answer", || (said_blind() >= 2).then_some(()));
    for draft in &drafts {
        fs::remove_dir(draft).unwrap();
    }
    assert_eq!(scene.server.blacklist(&scene.server.sign_in().refresh).status, 200);
    let is_there = |map: &str| fs::metadata(scene.path(map)).is_ok_and(|map| map.len() > 0);
    until("the maps are written", || MAPS.into_iter().all(is_there).then_some(()));

    let _proxy = scene.start();
    let (pair, before) = (scene.server.sign_in(), said_blind());
    scene.passes(&pair.access);
    // One of them may just be written.
    for draft in &drafts {
        until("a folder is made", || fs::create_dir(draft).ok());
    }
    assert_eq!(scene.server.blacklist(&pair.refresh).status, 200);
    until("HAProxy is told", || (scene.ask(&pair.access) == 401).then_some(()));
    assert!(said_blind() > before);
}

#[test]
fn haproxy_refuses_what_comes_from_the_future() {
    let Some(scene) = Scene::set(MAY_BE_OLD) else { return };
    let [of_now, of_a_clock_that_is_ahead, of_later] = scene.forged([0, 30, 3600]);
    let _maps = scene.follow();
    let _proxy = scene.start();
    scene.passes(&of_now);
    scene.passes(&of_a_clock_that_is_ahead);
    assert_eq!(scene.ask(&of_later), 401);
    // Else it would be good after everything else is over.
    scene.authority.run(&["sessions", "revoke", "--all", "--yes"]).done();
    until("all is over", || (scene.ask(&of_now) == 401).then_some(()));
    assert_eq!(scene.ask(&of_later), 401);
}

/// An authority, a service, and between the service and the world a HAProxy.
struct Scene {
    authority: Authority,
    server: Server,
    programs: Programs,
    haproxy: PathBuf,
    /// Of the keys that sign tokens, the active one first.
    kids: [String; 2],
    folder: TempDir,
}

impl Scene {
    fn set(may_be_old: &str) -> Option<Self> {
        let programs = Programs::find()?;
        let authority = Authority::dev();
        let server = authority.start();
        let kid = |state| {
            let keys = authority.json(&["keys", "list", "--purpose", "token", "--state", state]);
            text(&keys[0]["kid"])
        };
        let kids = ["active", "staged"].map(kid);
        let folder = tempfile::tempdir().unwrap();
        for (kid, file) in kids.iter().zip(["KID-1.pem", "KID-2.pem"]) {
            let pem = authority.run(&["keys", "export-public", kid]).done();
            fs::write(folder.path().join(file), pem).unwrap();
        }
        let scene = Self { authority, server, programs, haproxy: haproxy(), kids, folder };
        fs::write(scene.path("haproxy.cfg"), scene.configuration(may_be_old)).unwrap();
        Some(scene)
    }

    /// The documented one, with what is ours.
    fn configuration(&self, may_be_old: &str) -> String {
        let folder = self.folder.path().display();
        let replaced = [
            ("/etc/haproxy/attesto/", format!("{folder}/")),
            ("/run/haproxy/attesto.sock", format!("{folder}/control")),
            ("bind :8000", format!("bind unix@{folder}/front")),
            ("127.0.0.1:8001", service().to_string()),
            ("https://login.example.com", issuer(&self.server)),
            ("-m str orders", "-m str attesto-dev".to_owned()),
            ("-- KID-1", format!("-- {}", self.kids[0])),
            ("-- KID-2", format!("-- {}", self.kids[1])),
            (MAY_BE_OLD, may_be_old.to_owned()),
        ];
        replaced.iter().fold(documented("haproxy.cfg"), |configuration, (theirs, ours)| {
            assert!(configuration.contains(theirs), "{theirs}");
            configuration.replace(theirs, ours)
        })
    }

    /// Starts the program that keeps the maps, and waits until they are there.
    fn follow(&self) -> Process {
        let began = fs::metadata(self.path("revoked.map")).and_then(|map| map.modified()).ok();
        let process = Process(self.follower().spawn().unwrap());
        until("the maps are written", || {
            let map = fs::metadata(self.path("revoked.map")).ok().filter(|map| map.len() > 0)?;
            (map.modified().ok() != began).then_some(())
        });
        process
    }

    /// The same, still to be started.
    fn follower(&self) -> Command {
        let mut command = self.programs.command("haproxy_map.py");
        command.arg(issuer(&self.server)).arg(self.folder.path()).arg(self.path("control"));
        command.stdin(Stdio::null());
        command
    }

    /// Tokens of a leaked key, issued some seconds from now. For a HAProxy that is still to be started.
    fn forged(&self, later: [i64; 3]) -> [String; 3] {
        self.programs.add("forge.py", FORGE);
        let claims = json!({
            "iss": issuer(&self.server), "aud": "attesto-dev", "sub": "a", "client_id": "b", "sid": "c", "jti": "d",
        });
        let header = json!({"typ": "at+jwt", "kid": self.kids[1]});
        let asked = json!({
            "pem": self.path("KID-2.pem"), "later": later, "claims": claims, "header": header,
        });
        serde_json::from_value(self.programs.ask("forge.py", [asked]).remove(0)).unwrap()
    }

    /// Starts HAProxy, and waits until it answers.
    fn start(&self) -> Process {
        let _ = fs::remove_file(self.path("front"));
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(&self.haproxy);
        command.args(["-db", "-f"]).arg(self.path("haproxy.cfg"));
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let mut process = Process(command.spawn().unwrap());
        until("HAProxy listens", || {
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(process.0.try_wait().unwrap().is_none(), "HAProxy ended: {}", log());
            UnixStream::connect(self.path("front")).ok()
        });
        process
    }

    /// What HAProxy makes of a request with this token.
    #[track_caller]
    fn ask(&self, token: &str) -> u16 {
        let mut connection = UnixStream::connect(self.path("front")).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {answer:?}"))
    }

    /// A new token is good at once.
    #[track_caller]
    fn passes(&self, token: &str) {
        assert_eq!(self.ask(token), 200);
    }

    #[track_caller]
    fn refuses_soon(&self, what: &str, token: &str) {
        let ended_at = Instant::now();
        while self.ask(token) != 401 {
            assert!(ended_at.elapsed() < LONGEST_LATENCY, "{what}: not refused");
            sleep(Duration::from_millis(5));
        }
        println!("{what}: refused after {:?}", ended_at.elapsed());
    }

    /// Ends a new session by a command that may name it, and begins another.
    #[track_caller]
    fn ends(&self, what: &str, command: impl for<'a> FnOnce(&'a str) -> Vec<&'a str>) {
        let token = self.server.sign_in().access;
        self.passes(&token);
        self.authority.run(&command(&text(&claims(&token)["sid"]))).done();
        self.refuses_soon(what, &token);
        self.passes(&self.server.sign_in().access);
    }

    fn ends_one_token(&self) {
        let pair = self.server.sign_in();
        self.record_of_jti(&text(&claims(&pair.access)["jti"]), 4_000_000_000_000);
        self.refuses_soon("jti", &pair.access);
        self.passes(&self.server.refresh(&pair.refresh).pair().access);
    }

    /// What has expired is in the maps no more, neither on disk nor in the running HAProxy.
    fn forgets(&self) {
        let in_a_moment = Clock::system().now().as_millis() + 3_000;
        let count = || self.told("revoked.map").len();
        let before = count();
        self.record_of_jti("somebody's", in_a_moment);
        until("one more", || (count() > before).then_some(()));
        sleep(Duration::from_secs(3));
        self.ends("sessions revoke", |sid| vec!["sessions", "revoke", sid]);
        until("one for the other", || (count() == before + 1).then_some(()));
        for map in MAPS {
            let written = || fs::read_to_string(self.path(map)).unwrap();
            until("HAProxy has what is written", || (self.told(map) == sorted(&written())).then_some(()));
        }
    }

    /// No command writes one yet.
    fn record_of_jti(&self, jti: &str, expires_at: i64) {
        let jti = jti.replace('\'', "''");
        self.authority.sqlite(&format!(
            "BEGIN IMMEDIATE;
             UPDATE revocation_counter SET seq = seq + 1;
             INSERT INTO revocations SELECT seq, 5, '{jti}', 0, {expires_at} FROM revocation_counter;
             COMMIT;"
        ));
    }

    /// What the running HAProxy has in a map: lines of key and value.
    fn told(&self, map: &str) -> Vec<String> {
        let mut control = UnixStream::connect(self.path("control")).unwrap();
        // In one piece: HAProxy takes what it gets first for the whole.
        control.write_all(format!("show map {}\n", self.path(map).display()).as_bytes()).unwrap();
        let mut said = String::new();
        control.read_to_string(&mut said).unwrap();
        // The first word of each is an address.
        let entries: Vec<_> =
            said.lines().filter_map(|line| line.split_once(' ')).map(|(_, entry)| entry).collect();
        sorted(&entries.join("\n"))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

/// Who is reached by those who pass: answers every request.
fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.and_then(answer);
        }
    });
    address
}

fn answer(mut connection: std::net::TcpStream) -> io::Result<()> {
    let _ = connection.read(&mut [0; 16 * 1024])?;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn haproxy() -> PathBuf {
    let named = env::var_os("ATTESTO_TEST_HAPROXY");
    named.expect("ATTESTO_TEST_HAPROXY is not set: run the tests with `cargo xtask test`").into()
}

fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn issuer(server: &Server) -> String {
    format!("http://{}", server.address)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
