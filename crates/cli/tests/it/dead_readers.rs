//! Clients that ask for much and read nothing, that hang up, or that are too many.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::authority::Authority;
use crate::http::{Connection, get};
use crate::process::{after, until};
use crate::server::Server;

const RECORDS: usize = 100_000;

/// In bytes: a record is encoded twice.
const SNAPSHOT: usize = RECORDS * 24 * 16 / 9;

const CLIENTS: usize = 200;

/// As long as anybody may.
const POLL: &str = "/revocations?after=0&wait=25";

#[test]
fn clients_that_never_read_take_little_memory_and_nobodys_turn() {
    let authority = Authority::dev();
    authority.start().stop();
    insert(&authority, RECORDS);
    let server = authority.start();
    assert!(server.get("/revocations").body.len() > SNAPSHOT);
    let before = memory(&server);

    let dead: Vec<_> = (0..CLIENTS).map(|_| ask(&server, "/revocations")).collect();
    until("all of them are being answered", || (dead.iter().all(is_answered)).then_some(()));
    for _ in 0..3 {
        assert!(server.get("/revocations").body.len() > SNAPSHOT, "others get theirs");
    }
    server.sign_in();
    let grown = memory(&server).saturating_sub(before);
    // A copy for each would be more than 800 MB.
    assert!(grown < 128 * 1024 * 1024, "{} MB", grown / 1_000_000);

    drop(dead);
    server.stop();
}

#[test]
fn who_hangs_up_does_not_wait_any_more() {
    let authority = Authority::dev();
    let server = authority.start();
    let reset = |stream: TcpStream| set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
    for (how, hang_up) in [("FIN", drop as fn(TcpStream)), ("RST", reset)] {
        let begun = Instant::now();
        let polls: Vec<_> = (0..30).map(|_| ask(&server, POLL)).collect();
        until("all wait", || (waiters(&server) == polls.len()).then_some(()));
        polls.into_iter().for_each(hang_up);
        until("nobody waits", || (waiters(&server) == 0).then_some(()));
        // After 25 s they would have been answered.
        assert!(begun.elapsed() < Duration::from_secs(20), "{how}: {:?}", begun.elapsed());
    }
}

#[test]
fn half_of_the_files_are_kept_for_those_who_do_not_wait() {
    const FILES: usize = 256;
    let authority = Authority::dev();
    let limited = authority.try_start_as(|command| after(&format!("ulimit -n {FILES}"), &command));
    let server = limited.unwrap();
    let polls: Vec<_> = (0..FILES / 2).map(|_| ask(&server, POLL)).collect();
    until("all wait", || (waiters(&server) == polls.len()).then_some(()));
    for _ in 0..3 {
        let refused = server.get(POLL);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    }
    assert_eq!(waiters(&server), polls.len(), "and nobody gave way");
    for path in
        ["/.well-known/jwks.json", "/revocations", "/revocations?after=0", "/revocations?after=9&wait=25"]
    {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    server.refresh(&server.sign_in().refresh).pair();

    drop(polls);
    until("nobody waits", || (waiters(&server) == 0).then_some(()));
    assert_eq!(server.get("/revocations?after=0&wait=1").status, 200);
}

fn waiters(server: &Server) -> usize {
    let metrics = server.get("/metrics").body;
    metrics.lines().find_map(|line| line.strip_prefix("attesto_feed_waiters ")).unwrap().parse().unwrap()
}

fn insert(authority: &Authority, records: usize) {
    authority.sqlite(&format!(
        "WITH RECURSIVE place (seq) AS (VALUES (1) UNION ALL SELECT seq + 1 FROM place WHERE seq < {records})
         INSERT INTO revocations SELECT seq, 4, 'session-' || seq, 1000, 4000000000000 FROM place;
         UPDATE revocation_counter SET seq = {records};"
    ));
}

/// Asks, and reads nothing.
fn ask(server: &Server, path: &str) -> TcpStream {
    let mut connection = Connection::open(server.address).unwrap();
    connection.send(&get(path)).unwrap();
    connection.into_stream()
}

fn is_answered(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_ok_and(|count| count > 0)
}

/// What a server holds in memory, in bytes.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
