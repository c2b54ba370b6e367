use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use attesto_core::{Actor, AuditEvent, Event, UserId};
use attesto_server::Clock;
use attesto_store::Store;
use reqwest::Client;
use serde::Serialize;
use tokio::time::sleep;

use crate::authority::{Authority, USER_ID};
use crate::load::{Refresh, refresh_until, sign_in};
use crate::server::Server;
use crate::stats::Sample;
use crate::table::verdict;
use crate::{Outcome, progress};

/// From the request until the first byte of a snapshot that nobody asked for before.
const BUILT_GOAL_MS: f64 = 50.0;

const RECORDS: u32 = 200_000;
const CONNECTIONS: u16 = 8;

/// Longer than a state of the feed lasts: every snapshot is a new one.
const PAUSE: Duration = Duration::from_millis(1_300);

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    records: u32,
    bytes: usize,
    snapshots: usize,
    built_median_ms: f64,
    built_max_ms: f64,
    built_goal_ms: f64,
    meets_goal: bool,
    /// Refreshes while nobody asks for a snapshot, and while somebody does all the time.
    without: Latencies,
    with: Latencies,
}

#[derive(Serialize)]
struct Latencies {
    refreshes: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Asks for snapshots of a large feed, alone and beside refreshes. Server and clients share all cores.
pub async fn measure(program: &Path, quick: bool) -> Outcome<Report> {
    let (snapshots, seconds) = if quick { (3, 4) } else { (20, 20) };
    progress(&format!("feed: writing {RECORDS} records"));
    let authority = Authority::set_up("shutdown_delay_interval = \"0s\"\n").await?;
    fill(&Store::open(&authority.settings.database)?).await?;
    let server = Server::start(program, &authority.config)?;
    let (client, url) = (Client::new(), format!("http://{}/revocations", server.address));

    progress(&format!("feed: {snapshots} snapshots"));
    let (mut built, mut bytes) = (Vec::new(), 0);
    for _ in 0..snapshots {
        sleep(PAUSE).await;
        let begun_at = Instant::now();
        let answer = client.get(&url).send().await?.error_for_status()?;
        built.push(begun_at.elapsed().as_secs_f64() * 1000.0);
        bytes = answer.bytes().await?.len();
    }

    progress(&format!("feed: refreshing for {seconds} s, without snapshots and with them"));
    let clock = Clock::system();
    let until = |seconds| clock.now() + Duration::from_secs(seconds);
    let without = refresh_until(sign_in(server.address, CONNECTIONS).await?, until(seconds), &clock).await?;
    let signed_in = sign_in(server.address, CONNECTIONS).await?;
    let end = until(seconds);
    let asking = async {
        while clock.now() < end {
            client.get(&url).send().await?.error_for_status()?.bytes().await?;
            sleep(PAUSE).await;
        }
        Ok::<_, crate::BenchError>(())
    };
    let (with, asked) = tokio::join!(refresh_until(signed_in, end, &clock), asking);
    asked?;
    server.stop()?;
    let built = Sample::new(built);
    Ok(Report {
        records: RECORDS,
        bytes,
        snapshots,
        built_median_ms: built.quantile(0.5),
        built_max_ms: built.max(),
        built_goal_ms: BUILT_GOAL_MS,
        meets_goal: built.quantile(0.5) <= BUILT_GOAL_MS,
        without: Latencies::of(&without)?,
        with: Latencies::of(&with?)?,
    })
}

/// Ends the sessions of one user again and again.
async fn fill(store: &Store) -> Outcome<()> {
    const BATCH: u32 = 1_000;
    for _ in 0..RECORDS / BATCH {
        let id = UserId(USER_ID.to_owned());
        let now = Clock::system().now();
        let event = AuditEvent::new(Event::UserSessionsRevoked, Actor::Operator("bench".to_owned()), now);
        store
            .write(move |tx| (0..BATCH).try_for_each(|_| tx.revoke_user_sessions(&id, &event).map(drop)))
            .await?;
    }
    Ok(())
}

impl Latencies {
    fn of(refreshes: &[Refresh]) -> Outcome<Self> {
        if refreshes.iter().any(|refresh| refresh.failed) {
            return Err("refreshes failed".into());
        }
        let took = refreshes.iter().map(|refresh| refresh.took.as_secs_f64() * 1000.0);
        let sample = Sample::new(took.collect());
        Ok(Self {
            refreshes: sample.len(),
            p50_ms: sample.quantile(0.5),
            p99_ms: sample.quantile(0.99),
            max_ms: sample.max(),
        })
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", self.p50_ms, self.p99_ms, self.max_ms)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Feed: a snapshot of {} records ({} bytes) begins to arrive after {:.1} ms (median of {}; at most {:.1} ms); \
             goal {} ms: {}",
            self.records,
            self.bytes,
            self.built_median_ms,
            self.snapshots,
            self.built_max_ms,
            self.built_goal_ms,
            verdict(self.meets_goal)
        )?;
        write!(f, "Feed: refreshes take {} without snapshots, and {} beside them", self.without, self.with)
    }
}
