use attesto_core::{Instant, ServerReport};
use attesto_server::{KeyError, KeyKeeper};
use serde_json::{Value, json};

use crate::context::now;
use crate::output::{in_words, presentable};

/// The running servers, and which of them have loaded a change.
pub struct Servers {
    running: Vec<ServerReport>,
    /// Of the change.
    version: i64,
    asked_at: Instant,
}

impl Servers {
    /// Waits until all of them have it, for as long as one may be behind.
    pub async fn wait_for(keeper: &KeyKeeper, version: i64) -> Result<Self, KeyError> {
        keeper.wait_for_servers(version).await?;
        Ok(Self { running: keeper.live_servers().await?, version, asked_at: now() })
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let behind: Vec<_> = self.running.iter().filter(|server| !self.has_it(server)).collect();
        match (self.running.len(), behind.as_slice()) {
            (0, _) => "No server runs; the next one to start has it.".to_owned(),
            (1, []) => "1 running server has it.".to_owned(),
            (count, []) => format!("{count} running servers have it."),
            (count, behind) => format!(
                "Not loaded yet by {} of {count} servers: {}. One that cannot read its keys stops signing by itself; see its log.",
                behind.len(),
                behind.iter().map(|server| self.last_seen(server)).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let server = |server: &ServerReport| json!({"id": server.id, "version": server.version, "has_it": self.has_it(server)});
        self.running.iter().map(server).collect()
    }

    fn has_it(&self, server: &ServerReport) -> bool {
        server.key_version >= self.version
    }

    fn last_seen(&self, server: &ServerReport) -> String {
        format!(
            "{} (heard of {} ago)",
            presentable(&server.id),
            in_words(self.asked_at.since(server.seen_at))
        )
    }
}
