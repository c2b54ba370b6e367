//! Requests and answers as they are on the wire, so that they can be as bad as the wire permits.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than any answer takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Service {
    Loopback(SocketAddr),
    InProcess(super::tower::InProcess),
}

impl Service {
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        match self {
            Self::Loopback(address) => timeout(PATIENCE, ask(*address, request)).await.expect("an answer"),
            Self::InProcess(service) => service.ask(request).await,
        }
    }
}

pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    body: String,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        Self { method, target: target.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    pub(crate) fn authorization(self, value: impl AsRef<[u8]>) -> Self {
        self.header("authorization", value)
    }

    pub(crate) fn form(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let end = format!("content-length: {}\r\nconnection: close\r\n\r\n{}", self.body.len(), self.body);
        bytes.extend(end.into_bytes());
        bytes
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("headers and their end");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_owned(), value.trim().to_owned())
        };
        Self {
            status: status.parse().expect("a status"),
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        }
    }
}

async fn ask(address: SocketAddr, request: &Request) -> Answer {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&request.bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    Answer::parse(str::from_utf8(&answer).unwrap())
}
