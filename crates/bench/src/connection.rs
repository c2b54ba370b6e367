use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Outcome;

/// Longer than any answer should take; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const MOST_HEADERS: usize = 32;

/// A connection that stays open: one request after the other, and no more work than that, because whoever measures
/// shares the machine with what is measured.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What came back.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and takes the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        timeout(PATIENCE, self.exchange(request)).await.map_err(|_| "no answer within 20 s")?
    }

    async fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let (status, body) = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server hung up".into());
            }
            if let Some((status, head, body)) = measures(&self.received)?
                && self.received.len() >= head + body
            {
                break (status, head..head + body);
            }
        };
        Ok(Answer { status, body: &self.received[body] })
    }
}

impl Answer<'_> {
    /// A text of the JSON object that came.
    pub fn text(&self, name: &str) -> Outcome<String> {
        let object: Value = serde_json::from_slice(self.body)?;
        Ok(object[name].as_str().ok_or_else(|| format!("the answer has no {name}"))?.to_owned())
    }
}

/// A request that posts JSON.
pub fn post_json(address: SocketAddr, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
         {body}"
    )
}

/// Status, length of the head and length of the body, once the head is there.
fn measures(received: &[u8]) -> Outcome<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body = match length {
        _ if status == 304 => 0,
        Some(length) => std::str::from_utf8(length.value)?.parse()?,
        None => return Err("an answer does not say how long it is".into()),
    };
    Ok(Some((status, head, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(measures(&text[..20]).unwrap(), None);
        assert_eq!(measures(text).unwrap(), Some((200, text.len() - 5, 5)));
        let unchanged = b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n";
        assert_eq!(measures(unchanged).unwrap(), Some((304, unchanged.len(), 0)));
        assert!(measures(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
