//! SIGTERM and SIGINT: nobody who was promised an answer goes without.

use std::net::TcpStream;

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
