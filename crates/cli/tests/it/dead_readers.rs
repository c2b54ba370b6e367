//! Clients that ask for much and read nothing.

use std::fs;
use std::net::TcpStream;

use crate::authority::Authority;
use crate::http::{Connection, get};
use crate::process::until;
use crate::server::Server;

const RECORDS: usize = 100_000;

/// In bytes: a record is encoded twice.
const SNAPSHOT: usize = RECORDS * 24 * 16 / 9;

const CLIENTS: usize = 200;

#[test]
fn clients_that_never_read_take_little_memory_and_nobodys_turn() {
    let authority = Authority::dev();
    authority.start().stop();
    insert(&authority, RECORDS);
    let server = authority.start();
    assert!(server.get("/revocations").body.len() > SNAPSHOT);
    let before = memory(&server);

    let dead: Vec<_> = (0..CLIENTS).map(|_| ask_and_read_nothing(&server)).collect();
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

fn insert(authority: &Authority, records: usize) {
    authority.sqlite(&format!(
        "WITH RECURSIVE place (seq) AS (VALUES (1) UNION ALL SELECT seq + 1 FROM place WHERE seq < {records})
         INSERT INTO revocations SELECT seq, 4, 'session-' || seq, 1000, 4000000000000 FROM place;
         UPDATE revocation_counter SET seq = {records};"
    ));
}

fn ask_and_read_nothing(server: &Server) -> TcpStream {
    let mut connection = Connection::open(server.address).unwrap();
    connection.send(&get("/revocations")).unwrap();
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
