use std::net::SocketAddr;

use crate::Outcome;
use crate::connection::Connection;

/// Somebody who asks a server the same thing again and again.
pub struct Asker {
    address: SocketAddr,
    connection: Option<Connection>,
    /// Everything of the head but the length of the body.
    head: String,
    body: Body,
    expected: u16,
}

/// What is sent.
pub enum Body {
    /// The same each time.
    Fixed(String),
    /// The token that the last answer gave.
    Newest(Newest),
}

/// A body around a token that every answer replaces.
pub struct Newest {
    pub before: &'static str,
    pub token: String,
    pub after: &'static str,
    /// Where the answer has the next one.
    pub member: &'static str,
    /// Where each connection gets its first one, if it cannot go on with the last.
    pub seed: Option<&'static str>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What was expected.
    Answered,
    /// 503.
    Refused,
}

const JSON: &str = "content-type: application/json\r\n";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

impl Asker {
    /// Posts JSON.
    pub fn post(address: SocketAddr, path: &str, body: Body) -> Self {
        Self::new(address, format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{JSON}"), body)
    }

    /// Posts a form.
    pub fn post_form(address: SocketAddr, path: &str, body: Body) -> Self {
        Self::new(address, format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{FORM}"), body)
    }

    pub fn get(address: SocketAddr, path: &str) -> Self {
        Self::new(address, format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n"), Body::Fixed(String::new()))
    }

    /// Gets what it has already.
    pub fn get_unchanged(address: SocketAddr, path: &str, etag: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nif-none-match: {etag}\r\n");
        Self { expected: 304, ..Self::new(address, head, Body::Fixed(String::new())) }
    }

    fn new(address: SocketAddr, head: String, body: Body) -> Self {
        Self { address, connection: None, head, body, expected: 200 }
    }

    /// Opens a connection of its own.
    pub async fn connect(&mut self) -> Outcome<()> {
        let mut connection = Connection::open(self.address).await?;
        if let Body::Newest(Newest { token, member, seed: Some(path), .. }) = &mut self.body {
            let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
            *token = connection.ask(request.as_bytes()).await?.text(member)?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Asks once; anything but the expected answer is a failure.
    pub async fn ask(&mut self) -> Outcome<()> {
        match self.ask_of_busy().await? {
            Asked::Answered => Ok(()),
            Asked::Refused => Err(format!("{}: 503", self.head.lines().next().unwrap_or_default()).into()),
        }
    }

    /// Asks once a server that may say that it is too busy.
    pub async fn ask_of_busy(&mut self) -> Outcome<Asked> {
        let request = self.request();
        let connection = self.connection.as_mut().ok_or("not connected")?;
        let answer = connection.ask(request.as_bytes()).await?;
        if answer.status == 503 {
            return Ok(Asked::Refused);
        }
        if answer.status != self.expected {
            let (head, body) = (self.head.lines().next(), String::from_utf8_lossy(answer.body));
            return Err(format!("{}: {} {body}", head.unwrap_or_default(), answer.status).into());
        }
        if let Body::Newest(newest) = &mut self.body {
            newest.token = answer.text(newest.member)?;
        }
        Ok(Asked::Answered)
    }

    fn request(&self) -> String {
        let head = &self.head;
        match &self.body {
            Body::Fixed(body) if body.is_empty() => format!("{head}\r\n"),
            Body::Fixed(body) => format!("{head}content-length: {}\r\n\r\n{body}", body.len()),
            Body::Newest(Newest { before, token, after, .. }) => {
                let length = before.len() + token.len() + after.len();
                format!("{head}content-length: {length}\r\n\r\n{before}{token}{after}")
            }
        }
    }
}
