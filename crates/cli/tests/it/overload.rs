//! More refreshes at once than a server can answer in time.

use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::authority::{Authority, CONFIGURATION};
use crate::http::{Connection, Pair};
use crate::server::refresh_request;

/// What a server takes at once for each core.
const AT_ONCE: usize = 256;

const SESSIONS: usize = 16;

#[test]
fn at_twice_and_five_times_what_it_takes_some_are_told_to_wait_and_nothing_is_lost() {
    let authority = Authority::configured(&format!("{CONFIGURATION}log = \"error\"\n"));
    authority.set_up();
    let server = authority.start();
    let mut held: Vec<Pair> = (0..SESSIONS).map(|_| server.sign_in()).collect();
    for times in [2, 5] {
        let clients = times * AT_ONCE * available_parallelism().unwrap().get();
        let mut connections: Vec<_> =
            (0..clients).map(|_| Connection::open(server.address).unwrap()).collect();
        let sent_at = Instant::now();
        for (number, connection) in connections.iter_mut().enumerate() {
            connection.send(&refresh_request(&held[number % SESSIONS].refresh)).unwrap();
        }
        let (mut told, mut successors) = (0, vec![None; SESSIONS]);
        for (number, connection) in connections.iter_mut().enumerate() {
            let answer = connection.answer().unwrap();
            match answer.status {
                503 => {
                    assert!(answer.header("retry-after").is_some());
                    told += 1;
                }
                // It was not even read for five seconds: this machine does other things as well.
                408 => {}
                200 => {
                    let pair = answer.pair();
                    let successor = successors[number % SESSIONS].get_or_insert_with(|| pair.refresh.clone());
                    assert_eq!(*successor, pair.refresh, "one successor, whoever is answered");
                }
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert!(told > 0, "{clients} at once, and nobody was told to wait");
        assert!(told < clients, "nobody was answered");
        assert!(sent_at.elapsed() < Duration::from_secs(30), "{:?}", sent_at.elapsed());
        for held in &mut held {
            *held = server.refresh(&held.refresh).pair();
        }
    }
    server.stop();
}
