//! A running server, and a user of it.

use std::net::SocketAddr;

use serde_json::json;

use crate::http::{Answer, Connection, Pair, get, post};
use crate::process::Process;

/// A running `attesto serve`, killed when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// What it printed before it listened.
    pub(crate) said: Vec<String>,
    pub(crate) credentials: Credentials,
}

/// A user's name and password.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Server {
    /// Sends one request, on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &str) -> Answer {
        self.connect().ask(request).unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&get(path))
    }

    /// A new session of the first user.
    #[track_caller]
    pub(crate) fn sign_in(&self) -> Pair {
        self.try_sign_in(&self.credentials).pair()
    }

    #[track_caller]
    pub(crate) fn try_sign_in(&self, Credentials { username, password }: &Credentials) -> Answer {
        self.ask(&post("/api/token/", &json!({"username": username, "password": password})))
    }

    #[track_caller]
    pub(crate) fn refresh(&self, refresh: &str) -> Answer {
        self.ask(&refresh_request(refresh))
    }

    #[track_caller]
    pub(crate) fn verify(&self, token: &str) -> Answer {
        self.ask(&post("/api/token/verify/", &json!({"token": token})))
    }

    #[track_caller]
    pub(crate) fn blacklist(&self, refresh: &str) -> Answer {
        self.ask(&post("/api/token/blacklist/", &json!({"refresh": refresh})))
    }

    /// Ends it properly.
    pub(crate) fn stop(mut self) {
        self.process.terminate();
        assert_eq!(self.process.exit().code(), Some(0));
    }

    /// Kills it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

/// For connections on which a refresh has to be timed, or may break.
pub(crate) fn refresh_request(refresh: &str) -> String {
    post("/api/token/refresh/", &json!({"refresh": refresh}))
}

impl Credentials {
    /// Those given to `init`.
    pub(crate) fn first_user() -> Self {
        Self { username: "ada".to_owned(), password: "correct horse battery".to_owned() }
    }

    /// As `init` reads them.
    pub(crate) fn lines(&self) -> String {
        format!("{}\n{}\n", self.username, self.password)
    }
}
