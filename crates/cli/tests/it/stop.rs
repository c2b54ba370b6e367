//! SIGTERM and SIGINT: nobody who was promised an answer goes without.

use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::http::{Answer, get};
use crate::process::until;
use crate::server::refresh_request;

#[test]
fn on_sigterm_everything_in_flight_is_finished() {
    let authority = Authority::dev().with("ATTESTO_SHUTDOWN_DELAY_INTERVAL", "2s");
    let mut server = authority.start();
    let (fast, slow) = (server.sign_in(), server.sign_in());

    let mut idle = server.connect();
    assert!(!says_close(&idle.ask(&get("/livez")).unwrap()), "the connection is kept");
    let request = refresh_request(&slow.refresh);
    let (begun, rest) = request.split_at(request.len() - 10);
    let mut in_flight = server.connect();
    in_flight.send(begun).unwrap();
    assert_eq!(server.get("/readyz").status, 200);

    server.process.terminate();
    until("readiness fails", || (server.get("/readyz").status == 503).then_some(()));
    let answers = [server.get("/livez"), server.refresh(&fast.refresh), idle.ask(&get("/livez")).unwrap()];
    for answer in answers {
        assert_eq!(answer.status, 200, "requests are still answered");
        assert!(says_close(&answer), "{answer:?}");
    }
    assert!(idle.is_closed());

    until("nothing new is accepted", || TcpStream::connect(server.address).err());
    in_flight.send(rest).unwrap();
    let answer = in_flight.answer().unwrap();
    assert!(says_close(&answer));
    let successor = answer.pair();
    assert_eq!(server.process.exit().code(), Some(0));

    let server = authority.start();
    server.refresh(&successor.refresh).pair();
}

/// As soon as it is asked to stop, not when it stops.
#[test]
fn on_sigterm_everybody_who_waits_for_the_feed_is_answered_at_once() {
    let authority = Authority::dev().with("ATTESTO_SHUTDOWN_DELAY_INTERVAL", "3s");
    let mut server = authority.start();
    let mut waiting: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for poll in &mut waiting {
        poll.send(&get("/revocations?after=0&wait=25")).unwrap();
    }
    // They wait by the time that others are answered, and are not answered themselves.
    sleep(Duration::from_millis(500));
    assert_eq!(server.get("/readyz").status, 200);

    let told_at = Instant::now();
    server.process.terminate();
    for mut poll in waiting {
        let answer = poll.answer().unwrap();
        assert!(answer.status == 200 && says_close(&answer), "{answer:?}");
        assert!(poll.is_closed());
    }
    assert!(told_at.elapsed() < Duration::from_secs(3), "{:?}", told_at.elapsed());
    // Who comes now does not wait.
    assert_eq!(server.get("/revocations?after=0&wait=25").status, 200);
    assert_eq!(server.process.exit().code(), Some(0));
    assert!(told_at.elapsed() < Duration::from_secs(10), "{:?}", told_at.elapsed());
}

#[test]
fn on_sigint_nobody_waits() {
    let authority = Authority::dev().with("ATTESTO_SHUTDOWN_DELAY_INTERVAL", "5m");
    let mut server = authority.start();
    let mut idle = server.connect();
    assert_eq!(idle.ask(&get("/livez")).unwrap().status, 200);
    server.process.interrupt();
    assert_eq!(server.process.exit().code(), Some(0));
    assert!(idle.is_closed());
}

fn says_close(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}
