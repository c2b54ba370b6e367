//! Clients that refresh without end, while something happens to the keys.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Connection, Pair};
use crate::server::{Server, refresh_request};
use crate::token::{decoded, parts};

/// The sessions of some clients.
pub(crate) struct Load {
    held: Vec<Mutex<Pair>>,
    pause: Duration,
}

/// What a client was answered.
pub(crate) struct Refreshed {
    /// Just before it asked.
    pub(crate) asked_at: Instant,
    /// An error means that the connection broke. The client then stops.
    pub(crate) answer: io::Result<Answer>,
}

impl Load {
    /// Signs in once for each client. Between two refreshes, each will take a `pause`.
    pub(crate) fn sign_in(server: &Server, clients: usize, pause: Duration) -> Self {
        Self { held: (0..clients).map(|_| Mutex::new(server.sign_in())).collect(), pause }
    }

    /// All clients refresh for as long as `meanwhile` takes, each over a connection of its own. What they are answered
    /// is told to `watch`; whatever is no pair of tokens changes nothing for them.
    pub(crate) fn during<T>(
        &self,
        address: SocketAddr,
        watch: impl Fn(&Refreshed) + Sync,
        meanwhile: impl FnOnce() -> T,
    ) -> T {
        let (watch, over) = (&watch, &AtomicBool::new(false));
        scope(|scope| {
            let _ends_however_it_goes = Ends(over);
            for held in &self.held {
                let connection = Connection::open(address).unwrap();
                scope.spawn(move || self.refresh(held, connection, watch, over));
            }
            meanwhile()
        })
    }

    /// Every client can go on: nobody's session has ended.
    #[track_caller]
    pub(crate) fn assert_alive(&self, server: &Server) {
        for held in &self.held {
            let mut held = held.lock().unwrap();
            *held = server.refresh(&held.refresh).pair();
        }
    }

    fn refresh(
        &self,
        held: &Mutex<Pair>,
        mut connection: Connection,
        watch: impl Fn(&Refreshed),
        over: &AtomicBool,
    ) {
        while !over.load(Ordering::Relaxed) {
            let mut held = held.lock().unwrap();
            let asked_at = Instant::now();
            let answer = connection.ask(&refresh_request(&held.refresh));
            if let Ok(answer) = &answer
                && answer.status == 200
            {
                *held = answer.pair();
            }
            drop(held);
            let is_broken = answer.is_err();
            watch(&Refreshed { asked_at, answer });
            if is_broken {
                return;
            }
            sleep(self.pause);
        }
    }
}

impl Refreshed {
    /// The tokens, if it is a good answer.
    #[track_caller]
    pub(crate) fn pair(&self) -> Pair {
        self.answer.as_ref().expect("the connection lasts").pair()
    }
}

/// Sets what it holds, however it goes out of scope.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The key that a token names.
pub(crate) fn kid(token: &str) -> String {
    let [header, ..] = parts(token);
    let header: Value = serde_json::from_slice(&decoded(header)).expect("a header in JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}
