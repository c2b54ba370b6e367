//! As much of HTTP/1.1 as the tests speak: over real connections, one byte at a time if they have to.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No test hangs on an answer that does not come.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A connection to a server. It stays open until one side has had enough.
pub(crate) struct Connection(BufReader<TcpStream>);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// Both tokens of a session, as the SimpleJWT endpoints give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// A request that reads.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: attesto\r\n\r\n")
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: attesto\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LONGEST_WAIT))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer. An error means that the answer did not arrive in full.
    pub(crate) fn ask(&mut self, request: &str) -> io::Result<Answer> {
        self.send(request)?;
        self.answer()
    }

    /// Sends a part of a request.
    pub(crate) fn send(&mut self, part: &str) -> io::Result<()> {
        self.0.get_mut().write_all(part.as_bytes())
    }

    /// Reads an answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut answer = Answer { status: 0, head, body: String::new() };
        answer.status = answer.head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut body = Vec::new();
        match answer.header("content-length").map(|length| length.parse().expect("a length")) {
            Some(length) => {
                body.resize(length, 0);
                self.0.read_exact(&mut body)?;
            }
            // To the end of the connection, as in HTTP/1.0.
            None => drop(self.0.read_to_end(&mut body)?),
        }
        answer.body = String::from_utf8(body).expect("a body in UTF-8");
        Ok(answer)
    }

    /// For a client that does not read.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }

    /// Whether the server has closed the connection, having said all that it had to.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find_map(|(given, value)| {
            let is_it = given.eq_ignore_ascii_case(name);
            is_it.then_some(value)
        })
    }

    /// The body, if it is a good answer.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The tokens, if it is a good answer.
    #[track_caller]
    pub(crate) fn pair(&self) -> Pair {
        let body = self.json();
        let token = |name: &str| body[name].as_str().expect("a token").to_owned();
        Pair { access: token("access"), refresh: token("refresh") }
    }

    /// The `detail` of a refusal.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["detail"].as_str().expect("a detail").to_owned()
    }
}
