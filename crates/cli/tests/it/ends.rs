//! Everything that ends something writes one record of the feed: by the commands, and over HTTP.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use attesto_core::{Actor, AuditEvent, ClientId, Digest, Event, Instant, Policy, RevocationKind, SessionId};
use attesto_server::{Clock, block_on};
use attesto_store::{Began, DatabaseUrl, RecordedRevocation, Store, StoreError, Write};
use rustix::io::ioctl_fionread;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::http::Pair;
use crate::process::{Process, run, until, without_settings};
use crate::server::{Credentials, Server};
use crate::token::{claims, decoded, parts};

const PASSWORD: &str = "correct horse battery";

/// The longest life of an access token, and the margin of verifiers.
const LIFETIME: Duration = Duration::from_secs(600 + 120);

/// One way to end a session of ada's.
struct End {
    what: &'static str,
    /// What ends with it, and by which name; given the session's access token.
    kind: RevocationKind,
    id: fn(&str) -> String,
    /// What the audit says of it, and why.
    event: &'static str,
    reason: &'static str,
    act: fn(&Authority, &Server, &Pair),
    /// What lets ada sign in again.
    undo: fn(&Authority),
}

const ENDS: [End; 13] = [
    End {
        what: "log-out",
        kind: RevocationKind::Session,
        id: sid,
        event: "session_revoked",
        reason: "logout",
        act: |_, server, pair| assert_eq!(server.blacklist(&pair.refresh).status, 200),
        undo: nothing,
    },
    End {
        what: "replay",
        kind: RevocationKind::Session,
        id: sid,
        event: "session_revoked",
        reason: "replay",
        act: |_, server, pair| {
            let second = server.refresh(&pair.refresh).pair();
            server.refresh(&second.refresh).pair();
            server.refresh(&pair.refresh).refused(401);
        },
        undo: nothing,
    },
    End {
        what: "sessions revoke SID",
        kind: RevocationKind::Session,
        id: sid,
        event: "session_revoked",
        reason: "operator",
        act: |authority, _, pair| drop(authority.run(&["sessions", "revoke", &sid(&pair.access)]).done()),
        undo: nothing,
    },
    End {
        what: "sessions revoke --user",
        kind: RevocationKind::Subject,
        id: sub,
        event: "user_sessions_revoked",
        reason: "a laptop was lost",
        act: |authority, _, _| {
            let reason = ["--reason", "a laptop was lost"];
            authority.run(&[&["sessions", "revoke", "--user", "ada"][..], &reason].concat()).done();
        },
        undo: nothing,
    },
    End {
        what: "sessions revoke --client",
        kind: RevocationKind::Client,
        id: client_id,
        event: "client_sessions_revoked",
        reason: "operator",
        act: |authority, _, _| {
            authority.run(&["sessions", "revoke", "--client", "simplejwt"]).done();
        },
        undo: nothing,
    },
    End {
        what: "sessions revoke --all",
        kind: RevocationKind::All,
        id: |_| String::new(),
        event: "all_sessions_revoked",
        reason: "operator",
        act: |authority, _, _| drop(authority.run(&["sessions", "revoke", "--all", "--yes"]).done()),
        undo: nothing,
    },
    End {
        what: "users claims --end-sessions",
        kind: RevocationKind::Subject,
        id: sub,
        event: "user_sessions_revoked",
        reason: "claims_changed",
        act: |authority, _, _| {
            authority.run_with(&["users", "claims", "ada", "--end-sessions"], r#"{"role":"guest"}"#).done();
        },
        undo: nothing,
    },
    End {
        what: "users password",
        kind: RevocationKind::Subject,
        id: sub,
        event: "password_changed",
        reason: "password_changed",
        act: |authority, _, _| {
            authority.run_with(&["users", "password", "ada"], &format!("{PASSWORD}\n")).done();
        },
        undo: nothing,
    },
    End {
        what: "users disable",
        kind: RevocationKind::Subject,
        id: sub,
        event: "user_disabled",
        reason: "user_disabled",
        act: |authority, _, _| drop(authority.run(&["users", "disable", "ada"]).done()),
        undo: |authority| drop(authority.run(&["users", "enable", "ada"]).done()),
    },
    End {
        what: "clients disable",
        kind: RevocationKind::Client,
        id: client_id,
        event: "client_disabled",
        reason: "client_disabled",
        act: |authority, _, _| drop(authority.run(&["clients", "disable", "simplejwt"]).done()),
        undo: |authority| drop(authority.run(&["clients", "enable", "simplejwt"]).done()),
    },
    End {
        what: "keys compromise",
        kind: RevocationKind::Kid,
        id: kid,
        event: "key_compromised",
        reason: "a backup was stolen",
        act: |authority, _, pair| {
            let reason = ["--reason", "a backup was stolen"];
            authority.run(&[&["keys", "compromise", &kid(&pair.access)][..], &reason].concat()).done();
        },
        undo: nothing,
    },
    End {
        what: "users delete",
        kind: RevocationKind::Subject,
        id: sub,
        event: "user_deleted",
        reason: "user_deleted",
        act: |authority, _, _| drop(authority.run(&["users", "delete", "ada"]).done()),
        undo: |authority| add_ada(authority),
    },
    // Once more, for somebody else under the same name.
    End {
        what: "sessions revoke --user, again",
        kind: RevocationKind::Subject,
        id: sub,
        event: "user_sessions_revoked",
        reason: "operator",
        act: |authority, _, _| drop(authority.run(&["sessions", "revoke", "--user", "ada"]).done()),
        undo: nothing,
    },
];

#[test]
fn every_end_is_one_record_and_what_begins_after_it_is_not_refused_by_it() {
    let authority = Authority::dev();
    let server = authority.start();
    add_ada(&authority);
    let store = open(&authority);
    let mut seq = 0;
    for End { what, kind, id, event, reason, act, undo } in ENDS {
        let pair = server.try_sign_in(&ada()).pair();
        assert_eq!(server.verify(&pair.access).status, 200, "{what}");
        let audited = audit(&authority).len();
        let begun = Clock::system().now();
        act(&authority, &server, &pair);
        let over = Clock::system().now();
        assert_is_told_by_verify(&server, &pair, kind, what);

        let [record] = &after(&store, seq)[..] else { panic!("{what}: one record") };
        seq = record.seq;
        assert_eq!((record.kind, &record.id), (kind as i32, &id(&pair.access)), "{what}");
        let between = begun.as_millis()..=over.as_millis();
        let at = record.expires_at - i64::try_from(LIFETIME.as_millis()).unwrap();
        if kind == RevocationKind::Kid {
            // Whoever holds the old JWK Set accepts what is forged with it.
            assert!(between.contains(&record.not_before) && at > over.as_millis(), "{what}");
        } else {
            assert!(between.contains(&at), "{what}");
        }
        if has_watermark(kind) {
            assert_eq!(record.not_before, (Instant::from_millis(at).seconds() + 1) * 1000, "{what}");
            assert!(is_older(&pair.access, record), "{what}");
        }
        let rows = audit(&authority);
        let row = rows.iter().take(rows.len() - audited).find(|row| row["event"] == event);
        assert_eq!(row.expect(what)["reason"], reason, "{what}");

        undo(&authority);
        let next = server.try_sign_in(&ada()).pair();
        // A user who is added again is another one.
        let is_meant = has_watermark(kind) && record.id == id(&next.access);
        assert!(!is_meant || !is_older(&next.access, record), "{what}");
        server.refresh(&next.refresh).pair();
        assert!(after(&store, seq).is_empty(), "{what}: and no other");
    }
}

/// Those who cannot hold a feed ask. Only another key takes a moment, until the server has loaded it.
fn assert_is_told_by_verify(server: &Server, pair: &Pair, kind: RevocationKind, what: &str) {
    if kind == RevocationKind::Kid {
        until("the key is gone", || (server.verify(&pair.access).status == 401).then_some(()));
    } else {
        assert_eq!(server.verify(&pair.access).status, 400, "{what}");
    }
}

#[test]
fn claims_end_sessions_only_if_asked() {
    let authority = Authority::dev();
    let server = authority.start();
    let before = server.sign_in();
    authority.run_with(&["users", "claims", "dev"], r#"{"role":"guest"}"#).done();
    assert!(after(&open(&authority), 0).is_empty());
    let before = server.refresh(&before.refresh).pair();
    let said = authority.run_with(&["users", "claims", "dev", "--end-sessions"], "{}").done();
    assert_eq!(said, "tokens of dev carry these claims from the next sign-in on; all sessions are over\n");
    assert_eq!(server.refresh(&before.refresh).refused(401), "Token is blacklisted");
    let refused = authority.run_with(&["users", "claims", "dev", "--end-sessions"], "[]").refused(1);
    assert!(refused.ends_with("nothing was changed"), "{refused}");
    assert_eq!(after(&open(&authority), 0).len(), 1);
}

#[test]
fn everybody_is_signed_out_after_a_yes_only() {
    let authority = Authority::dev();
    let server = authority.start();
    let pair = server.sign_in();
    let all = ["sessions", "revoke", "--all"];

    let line = authority.run_with(&all, "yes\n").refused(1);
    assert_eq!(line, "This signs everybody out. Give --yes if so; nothing was changed");
    let (code, said) = at_a_terminal(&authority, &all, "y\n");
    assert!(code == Some(1) && said.contains("that was not yes; nothing was changed"), "{said}");
    let pair = server.refresh(&pair.refresh).pair();

    let (code, said) = at_a_terminal(&authority, &all, "yes\n");
    assert!(code == Some(0) && said.contains("all sessions of everybody are over"), "{said}");
    assert_eq!(server.refresh(&pair.refresh).refused(401), "Token is blacklisted");
    let done = authority.json(&["sessions", "revoke", "--all", "--yes"]);
    assert_eq!(done, json!({"done": "all sessions of everybody are over"}));
    assert!(authority.json(&["sessions", "list"]).as_array().unwrap().is_empty());
}

#[test]
fn which_sessions_end_is_said_in_one_way() {
    let authority = Authority::dev();
    let _server = authority.start();
    for wrong in [
        &[][..],
        &["x", "--user", "dev"],
        &["--user", "dev", "--client", "simplejwt"],
        &["--client", "simplejwt", "--all", "--yes"],
        &["--user", "dev", "--reason", " "],
    ] {
        let arguments = [&["sessions", "revoke"][..], wrong].concat();
        assert_eq!(authority.run(&arguments).any().0, Some(2), "{wrong:?}");
    }
    let line = authority.run(&["sessions", "revoke", "--client", "nobody"]).refused(1);
    assert_eq!(line, "there is no client nobody; `attesto clients list` shows all");
    assert!(after(&open(&authority), 0).is_empty());
    // What asks nothing needs no yes, and takes it.
    authority.run(&["sessions", "revoke", "--user", "dev", "--yes"]).done();
    let done = authority.json(&["sessions", "revoke", "--client", "simplejwt", "--yes"]);
    let sentence = "all sessions of simplejwt are over; it still obtains tokens";
    assert_eq!(done, json!({"client_id": "simplejwt", "done": sentence}));
}

/// A command that read the clock before it waits would leave a session of the meantime alive.
#[test]
fn an_end_that_waits_for_its_turn_covers_what_begins_meanwhile() {
    for (end, input) in [
        (["users", "claims", "dev", "--end-sessions"].as_slice(), "{}"),
        (&["users", "password", "dev"], PASSWORD),
    ] {
        let authority = Authority::dev();
        authority.start().stop();
        let (first, rest) = input.split_at(1);
        let mut command = authority.command(end);
        let mut command = Process(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
        command.0.stdin.as_ref().unwrap().write_all(first.as_bytes()).unwrap();
        until("the command has opened the database and reads", || {
            (ioctl_fionread(command.0.stdin.as_ref().unwrap()) == Ok(0)).then_some(())
        });

        let turn = Turn::take(open(&authority));
        command.write(&format!("{rest}\n"));
        // More than a watermark lies ahead, and less than a command waits for its turn.
        thread::sleep(Duration::from_secs(3));
        turn.begin_a_session_of("dev");
        assert_eq!(command.exit().code(), Some(0));

        let sessions = authority.json(&["sessions", "list", "--all"]);
        assert_eq!(sessions[0]["sid"], "meanwhile");
        assert_eq!(sessions[0]["state"], "ended", "{end:?}");
    }
}

/// A transaction that writes, and keeps everybody else from it.
struct Turn {
    writing: JoinHandle<()>,
    go_on: Sender<String>,
}

impl Turn {
    fn take(store: Store) -> Self {
        let (begun, is_begun) = channel();
        let (go_on, username) = channel::<String>();
        let username = Mutex::new(username);
        let writing = thread::spawn(move || {
            let written = store.write(move |tx| {
                begun.send(()).unwrap();
                let username = username.lock().unwrap().recv().unwrap();
                begin_session(tx, &username)
            });
            assert_eq!(block_on(written).unwrap(), Began::Yes);
        });
        is_begun.recv().unwrap();
        Self { writing, go_on }
    }

    /// Uses it, and gives it back.
    fn begin_a_session_of(self, username: &str) {
        self.go_on.send(username.to_owned()).unwrap();
        self.writing.join().unwrap();
    }
}

/// What a server does at the end of a sign-in, by the clock of this machine.
fn begin_session(tx: &mut Write<'_>, username: &str) -> Result<Began, StoreError> {
    let user = tx.find_user_by_name(username)?.unwrap();
    let client = tx.find_client(&ClientId::simplejwt())?.unwrap();
    let (id, now) = (SessionId("meanwhile".to_owned()), Clock::system().now());
    let opening = user.open_session(&client, id, &Policy::default(), now).unwrap();
    let session = opening.signed(Digest::of(b"jti"), "kid".to_owned(), Digest::of(b"browser"));
    tx.insert_session(&session, user.password_version, &AuditEvent::new(Event::SignedIn, Actor::Server, now))
}

/// Runs a command as somebody at a terminal does, who types `input`.
fn at_a_terminal(authority: &Authority, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let program = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let command = authority.command(arguments);
    let mut python = Command::new("python3");
    python.args(["-c", program]).arg(command.get_program()).args(command.get_args());
    without_settings(&mut python).current_dir(command.get_current_dir().unwrap());
    python.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (code, said, _) = run(&mut python, input).any();
    (code, said)
}

fn add_ada(authority: &Authority) {
    authority.run_with(&["users", "add", "ada"], &format!("{PASSWORD}\n")).done();
}

fn ada() -> Credentials {
    Credentials { username: "ada".to_owned(), password: PASSWORD.to_owned() }
}

fn nothing(_: &Authority) {}

fn open(authority: &Authority) -> Store {
    let url = DatabaseUrl::parse("sqlite:attesto.db", &authority.data()).unwrap();
    block_on(async { Store::open(&url).unwrap() })
}

fn after(store: &Store, seq: i64) -> Vec<RecordedRevocation> {
    let store = store.clone();
    block_on(async move { store.read(move |tx| tx.list_revocations(seq, 10)).await.unwrap() })
}

/// Kinds of which `iat` decides.
fn has_watermark(kind: RevocationKind) -> bool {
    matches!(kind, RevocationKind::All | RevocationKind::Client | RevocationKind::Subject)
}

/// Whether the record refuses the token if it is about it.
fn is_older(access: &str, record: &RecordedRevocation) -> bool {
    claims(access)["iat"].as_i64().unwrap() * 1000 <= record.not_before
}

fn audit(authority: &Authority) -> Vec<Value> {
    authority.json(&["audit", "list", "--limit", "1000"]).as_array().unwrap().clone()
}

fn sid(access: &str) -> String {
    text(&claims(access), "sid")
}

fn sub(access: &str) -> String {
    text(&claims(access), "sub")
}

fn client_id(access: &str) -> String {
    text(&claims(access), "client_id")
}

fn kid(access: &str) -> String {
    let [header, ..] = parts(access);
    text(&serde_json::from_slice(&decoded(header)).unwrap(), "kid")
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap().to_owned()
}
