//! One refresh token, presented by everybody at once.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread::scope;

use crate::authority::Authority;
use crate::http::Connection;
use crate::server::{Server, refresh_request};

const TABS: usize = 64;

#[test]
fn parallel_refreshes_of_one_token_get_one_successor() {
    let authority = Authority::dev();
    let server = authority.start();
    for _ in 0..8 {
        let first = server.sign_in();
        let successors = refresh_at_once(&server, &first.refresh);
        assert_eq!(successors.len(), 1, "everybody got the same refresh token");
        assert_eq!(generations(&authority, &[]), [2], "one session, one step further");

        let second = successors.first().unwrap();
        let third = server.refresh(second).pair();
        assert_eq!(generations(&authority, &[]), [3]);
        assert_eq!(server.refresh(&first.refresh).refused(401), "Token is blacklisted");
        for token in [&third.refresh, second, &first.refresh] {
            assert_eq!(server.refresh(token).refused(401), "Token is blacklisted", "all of it is over");
        }
        assert_eq!(generations(&authority, &[]), [0; 0]);
    }
    assert_eq!(generations(&authority, &["--all"]), [3; 8]);
}

/// Presents the token on 64 connections at the same moment. The refresh tokens that came back.
fn refresh_at_once(server: &Server, refresh: &str) -> BTreeSet<String> {
    let connections: Vec<_> = (0..TABS).map(|_| server.connect()).collect();
    let (request, everybody_is_there) = (&refresh_request(refresh), &Barrier::new(TABS));
    scope(|scope| {
        let present = |mut connection: Connection| {
            scope.spawn(move || {
                everybody_is_there.wait();
                connection.ask(request).unwrap().pair().refresh
            })
        };
        let tabs: Vec<_> = connections.into_iter().map(present).collect();
        tabs.into_iter().map(|tab| tab.join().unwrap()).collect()
    })
}

/// Of every session that is listed.
fn generations(authority: &Authority, options: &[&str]) -> Vec<i64> {
    let sessions = authority.json(&[&["sessions", "list"], options].concat());
    sessions.as_array().unwrap().iter().map(|session| session["generation"].as_i64().unwrap()).collect()
}
