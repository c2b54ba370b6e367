use std::net::SocketAddr;
use std::time::Duration;

use attesto_core::Instant;
use attesto_server::Clock;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::authority::{PASSWORD, USERNAME};

/// Longer than any answer should take; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure, so that a broken server is not asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(100);

/// One refresh, as its client saw it.
pub struct Refresh {
    pub sent_at: Instant,
    /// Until the last byte of the answer.
    pub took: Duration,
    /// Anything but a new pair.
    pub failed: bool,
}

/// Somebody who is signed in, on one connection that stays open.
pub struct SignedIn {
    client: Client,
    address: SocketAddr,
    refresh: String,
}

#[derive(Deserialize)]
struct Pair {
    refresh: String,
}

/// Signs in so many clients, one after the other.
pub async fn sign_in(address: SocketAddr, count: u16) -> Outcome<Vec<SignedIn>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = Client::builder().pool_max_idle_per_host(1).timeout(PATIENCE).build()?;
        let credentials = json!({"username": USERNAME, "password": PASSWORD});
        let pair = post(&client, address, "/api/token/", &credentials).await?;
        clients.push(SignedIn { client, address, refresh: pair.refresh });
    }
    Ok(clients)
}

/// Every client sends its next refresh as soon as it has the answer to the last one. Gives all refreshes that were sent
/// before `end`.
pub async fn refresh_until(clients: Vec<SignedIn>, end: Instant, clock: &Clock) -> Outcome<Vec<Refresh>> {
    let mut all: JoinSet<_> =
        clients.into_iter().map(|client| client.refresh_until(end, clock.clone())).collect();
    let mut refreshes = Vec::new();
    while let Some(of_one) = all.join_next().await {
        refreshes.extend(of_one?);
    }
    Ok(refreshes)
}

impl SignedIn {
    /// Signs out.
    pub async fn sign_out(self) -> Outcome<()> {
        let request = self.client.post(format!("http://{}/api/token/blacklist/", self.address));
        let body = json!({"refresh": self.refresh}).to_string();
        request.header(CONTENT_TYPE, "application/json").body(body).send().await?.error_for_status()?;
        Ok(())
    }

    async fn refresh_until(mut self, end: Instant, clock: Clock) -> Vec<Refresh> {
        let mut refreshes = Vec::new();
        loop {
            let (sent_at, begun_at) = (clock.now(), std::time::Instant::now());
            if sent_at >= end {
                return refreshes;
            }
            let answer =
                post(&self.client, self.address, "/api/token/refresh/", &json!({"refresh": self.refresh}))
                    .await;
            refreshes.push(Refresh { sent_at, took: begun_at.elapsed(), failed: answer.is_err() });
            match answer {
                Ok(pair) => self.refresh = pair.refresh,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

async fn post(client: &Client, address: SocketAddr, path: &str, body: &Value) -> Outcome<Pair> {
    let request = client.post(format!("http://{address}{path}")).header(CONTENT_TYPE, "application/json");
    let answer = request.body(body.to_string()).send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    if !status.is_success() {
        return Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}
