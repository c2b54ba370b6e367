//! No space left: one line says so, nothing is lost and nothing is made anew. Where keys change, a limit on the size of files
//! stands for the full disk; it counts for one process alone, and writes fail for it halfway, as they do there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::authority::{Authority, CONFIGURATION};
use crate::keeper::{Keeper, RS256, SHORT_INTERVALS, active, states, with_keks};
use crate::load::{Load, Refreshed};
use crate::process::{after, on_a_small_disk, run, until};
use crate::server::Server;

/// What SQLite makes of a write that the limit cut off. Of a disk that has no space left it says that it is full.
const CAUSE: &str = "the database did not commit: disk I/O error";

#[test]
fn a_command_without_space_changes_nothing_and_works_when_there_is_some() {
    let authority = with_two_keks();
    let keeper = Keeper::of(&authority);
    let server = authority.start();
    let mut pair = server.sign_in();
    let leaked = active(&keeper.table(), RS256).kid.clone();
    for command in [&["keys", "rotate"][..], &["keys", "compromise", &leaked], &["keys", "rewrap"]] {
        until("a rotation is permitted", || keeper.permits_rotation(RS256).then_some(()));
        let before = keeper.table();
        let outcome = run(&mut limited(&authority.command(command), Some(0)), "");
        assert_eq!(outcome.refused(1), CAUSE, "{command:?}");
        assert_eq!(keeper.table(), before, "{command:?}");
        pair = server.refresh(&pair.refresh).pair();

        assert_eq!(authority.run(command).any().0, Some(0), "{command:?}");
        assert_ne!(keeper.table(), before);
        pair = server.refresh(&pair.refresh).pair();
    }
    server.stop();
}

/// With a little more space each time, a rewrap gets a little further each time.
#[test]
fn a_rewrap_that_runs_out_of_space_goes_on_where_it_stopped() {
    let authority = with_two_keks();
    for _ in 0..4 {
        authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    }
    let keeper = Keeper::of(&authority);
    let server = authority.start();
    let before = keeper.table();
    let mut seen = BTreeSet::new();
    for attempt in 1.. {
        assert!(attempt < 30, "it never ends");
        let (rewrap, room) = (authority.command(&["keys", "rewrap"]), log_size(&authority) + 25_000);
        let (code, _, said) = run(&mut limited(&rewrap, Some(room)), "").any();
        let table = keeper.table();
        assert_eq!(states(&table), states(&before));
        seen.insert(table.keys.iter().filter(|key| key.kek_id != before.keys[0].kek_id).count());
        if code == Some(0) {
            break;
        }
        let line = said.lines().last().unwrap();
        assert_eq!((code, line), (Some(1), &*format!("attesto: {CAUSE}")));
    }
    assert!(seen.len() > 2 && seen.contains(&before.keys.len()), "{seen:?}");
    server.stop();
}

/// The server cannot rotate, nor renew a session. It says so once, goes on with all that needs no space, and with the
/// rest as soon as there is some.
#[test]
fn a_server_without_space_serves_what_it_can_and_rotates_later() {
    let settings = [CONFIGURATION, SHORT_INTERVALS, "key_rotation_interval = \"1s\"\n"].concat();
    let authority = Authority::configured(&settings);
    authority.set_up();
    let server = authority.try_start_as(|command| limited(&command, None)).expect("the server starts");
    let keeper = Keeper::of(&authority);
    let mut pair = server.sign_in();
    until("the write-ahead log goes beyond the limit", || {
        pair = server.refresh(&pair.refresh).pair();
        (log_size(&authority) > LIMIT).then_some(())
    });

    limit(&server, Some(LIMIT));
    let before = keeper.table();
    let said = |what: &str| authority.log().lines().filter(|line| line.contains(what)).count();
    let (schedule, report) =
        ("the schedule of the signing keys is stuck", "this server could not report itself");
    until("the schedule is stuck", || (said(schedule) > 0).then_some(()));
    sleep(Duration::from_secs(3));
    assert_eq!([schedule, report, CAUSE].map(said), [1, 1, 2], "{}", authority.log());
    assert_eq!(keeper.table(), before);
    assert_eq!(server.get("/livez").status, 200);
    assert!(server.get("/.well-known/jwks.json").body.contains(&active(&before, RS256).kid));
    assert_eq!(server.verify(&pair.refresh).status, 200);
    assert_eq!(server.refresh(&pair.refresh).status, 503);

    limit(&server, None);
    server.refresh(&pair.refresh).pair();
    let kid = &active(&before, RS256).kid;
    until("the schedule goes on", || (active(&keeper.table(), RS256).kid != *kid).then_some(()));
    server.stop();
}

/// The disk is full, and then it is not: who refreshes is told to wait, everything that only reads goes on, and nothing
/// that was answered is lost.
#[test]
fn a_full_disk_stops_what_writes_and_nothing_else() {
    const DISK: u64 = 8 * 1024 * 1024;
    let authority =
        Authority::configured(&CONFIGURATION.replace("sqlite:attesto.db", "sqlite:disk/attesto.db"));
    let disk = authority.data().join("disk");
    fs::create_dir(&disk).unwrap();
    authority.set_up();
    let server = authority.try_start_as(|command| on_a_small_disk(&disk, DISK, &command)).expect("it starts");
    let root = PathBuf::from(format!("/proc/{}/root", server.process.0.id()));
    let filler = root.join(disk.join("filler").strip_prefix("/").unwrap());
    let load = Load::sign_in(&server, 4, Duration::from_millis(5));
    let (ended, idle) = (server.sign_in(), server.sign_in());
    assert_eq!(server.blacklist(&ended.refresh).status, 200);
    // Services follow it all the time; the first answer of a server notes that it is signed.
    assert_eq!(server.get("/revocations").status, 200);

    let statuses = Mutex::new(Vec::new());
    let seen = |status: u16| statuses.lock().unwrap().iter().filter(|seen| **seen == status).count();
    let watch = |refreshed: &Refreshed| {
        let answer = refreshed.answer.as_ref().expect("the connection lasts");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        assert!(answer.status == 200 || answer.header("retry-after").is_some(), "{answer:?}");
        statuses.lock().unwrap().push(answer.status);
    };
    load.during(server.address, watch, || {
        until("somebody refreshes", || (seen(200) > 20).then_some(()));
        fill(&filler, DISK);
        until("nothing can be written", || (seen(503) > 20).then_some(()));
        assert_eq!(server.blacklist(&idle.refresh).status, 503);
        assert_eq!(server.verify(&idle.access).status, 200);
        for path in ["/livez", "/readyz", "/.well-known/jwks.json", "/revocations"] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        let refreshed = seen(200);
        fs::remove_file(&filler).unwrap();
        until("it goes on by itself", || (seen(200) > refreshed + 20).then_some(()));
    });
    load.assert_alive(&server);
    assert_eq!(server.refresh(&ended.refresh).refused(401), "Token is blacklisted");
    assert_eq!(server.blacklist(&idle.refresh).status, 200);
    assert_eq!(server.refresh(&idle.refresh).refused(401), "Token is blacklisted");
    server.stop();
}

/// To the last byte: what is left when large pieces fit no more is filled with small ones.
fn fill(file: &Path, at_most: u64) {
    let mut file = File::create(file).unwrap();
    for piece in [64 * 1024, 1] {
        let zeros = vec![0; piece];
        let pieces = (0..at_most).take_while(|_| file.write_all(&zeros).is_ok()).count();
        assert!(u64::try_from(pieces).unwrap() < at_most, "the disk has no end");
    }
}

/// In bytes. What the server logs is less.
const LIMIT: u64 = 64 * 1024;

/// The same program, for which writing beyond so many bytes of a file fails instead of ending it.
fn limited(command: &Command, bytes: Option<u64>) -> Command {
    let blocks = bytes.map_or("unlimited".to_owned(), |bytes| (bytes / 512).to_string());
    after(&format!("trap '' XFSZ; ulimit -S -f {blocks}"), command)
}

/// In bytes.
fn log_size(authority: &Authority) -> u64 {
    fs::metadata(authority.data().join("attesto.db-wal")).unwrap().len()
}

/// No key leaves the set while we look.
fn with_two_keks() -> Authority {
    let settings = [CONFIGURATION, SHORT_INTERVALS].concat();
    let long = settings.replace("access_token_lifetime = \"2s\"", "access_token_lifetime = \"1h\"");
    with_keks(&long, "\"other\", \"kek\"")
}

/// Changes the limit of a server that runs.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_child(&server.process.0);
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}
