//! A small HTTP server on a loopback port that publishes keys, well or badly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attesto_verifier::{JwkSet, Revocations, Verifier, VerifierBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::token::builder;

#[derive(Clone)]
pub(crate) enum Answer {
    /// Status line and headers, and the body that belongs to them.
    Text { head: String, body: String },
    /// Says that the body is one byte longer than it is.
    CutBody(String),
    /// Reads the request and never answers.
    Hang,
}

impl Answer {
    pub(crate) fn keys(jwks: &JwkSet) -> Self {
        Self::ok(serde_json::to_string(jwks).unwrap())
    }

    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::with_head("200 OK", body)
    }

    /// `head` is the status and, on further lines, headers.
    pub(crate) fn with_head(head: &str, body: impl Into<String>) -> Self {
        Self::Text { head: head.to_owned(), body: body.into() }
    }
}

pub(crate) struct Issuer {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    answer: Answer,
    requests: Vec<String>,
    hung_up: usize,
}

impl Issuer {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { answer, requests: Vec::new(), hung_up: 0 }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks.json", self.port)
    }

    pub(crate) fn builder(&self) -> VerifierBuilder {
        builder().jwks_url(self.url()).revocations(Revocations::Off)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        self.builder().build().unwrap()
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How many clients have closed the connection while they waited for an answer.
    pub(crate) fn hung_up(&self) -> usize {
        self.state.lock().unwrap().hung_up
    }
}

async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let answer = {
        let mut state = state.lock().unwrap();
        state.requests.push(String::from_utf8(request).unwrap());
        state.answer.clone()
    };
    let (head, body, length) = match answer {
        Answer::Text { head, body } => (head, body.clone(), body.len()),
        Answer::CutBody(body) => ("200 OK".to_owned(), body.clone(), body.len() + 1),
        Answer::Hang => {
            let _ = connection.read_u8().await;
            state.lock().unwrap().hung_up += 1;
            return;
        }
    };
    let head = head.replace('\n', "\r\n");
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // The client may stop reading before the end of a body that is too large.
    let _ = connection.write_all(answer.as_bytes()).await;
    let _ = connection.shutdown().await;
}

/// Waits until something is true, for as long as any fetch may take.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(8), poll).await.is_ok(), "waited in vain: {what}");
}
