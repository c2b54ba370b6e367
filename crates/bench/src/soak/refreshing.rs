use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::Outcome;
use crate::connection::{Connection, post_json};

/// One refresh, as its client saw it.
#[derive(Clone, Copy)]
pub struct Refreshed {
    pub sent_at: Instant,
    /// Until the last byte of the answer.
    pub took: Duration,
}

impl Refreshed {
    pub fn took_ms(&self) -> f64 {
        self.took.as_secs_f64() * 1000.0
    }
}

/// So many connections refresh without a pause for as long as there are to be `more`. Each time it is the turn of the
/// session that was refreshed the longest time ago.
pub async fn refresh_while(
    address: SocketAddr,
    connections: u16,
    tokens: &mut VecDeque<String>,
    more: impl Fn() -> bool,
) -> Outcome<Vec<Refreshed>> {
    let tokens = RefCell::new(tokens);
    let all = (0..connections).map(|_| refresh_on_one(address, &tokens, &more));
    Ok(try_join_all(all).await?.concat())
}

/// So many refreshes in all.
pub async fn refresh_times(
    address: SocketAddr,
    connections: u16,
    tokens: &mut VecDeque<String>,
    times: usize,
) -> Outcome<Vec<Refreshed>> {
    let left = Cell::new(times);
    let more = || left.replace(left.get().saturating_sub(1)) > 0;
    refresh_while(address, connections, tokens, more).await
}

async fn refresh_on_one(
    address: SocketAddr,
    tokens: &RefCell<&mut VecDeque<String>>,
    more: impl Fn() -> bool,
) -> Outcome<Vec<Refreshed>> {
    let mut connection = Connection::open(address).await?;
    let mut refreshes = Vec::new();
    while more() {
        let token = tokens.borrow_mut().pop_front().ok_or("there are fewer sessions than connections")?;
        let sent_at = Instant::now();
        let successor = refresh(&mut connection, address, &token).await?;
        refreshes.push(Refreshed { sent_at, took: sent_at.elapsed() });
        tokens.borrow_mut().push_back(successor);
    }
    Ok(refreshes)
}

/// Gives the next refresh token.
pub async fn refresh(connection: &mut Connection, address: SocketAddr, token: &str) -> Outcome<String> {
    let request = post_json(address, "/api/token/refresh/", &format!("{{\"refresh\":\"{token}\"}}"));
    let answer = connection.ask(request.as_bytes()).await?;
    if answer.status != 200 {
        return Err(format!("a refresh: {} {}", answer.status, String::from_utf8_lossy(answer.body)).into());
    }
    answer.text("refresh")
}
