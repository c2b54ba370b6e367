use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Plan;
use super::population::Population;
use super::refreshing::refresh_times;
use crate::cores::Cores;
use crate::server::Server;
use crate::stats::{Sample, real};
use crate::{Outcome, progress};

/// A server that rests takes no more of a core than this, within [`LOOK`].
const RESTS: Duration = Duration::from_millis(50);

/// Longer than it takes to notice.
const LOOK: Duration = Duration::from_secs(1);

/// A server that is not at rest by then is not measured.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What a small authority and a large one showed in turn.
pub struct Step {
    pub sessions: usize,
    pub small: Side,
    pub large: Side,
}

/// One of them.
pub struct Side {
    /// From its start until it listened.
    pub started: Duration,
    /// From then until it was done with what it does at a start.
    pub settled: Duration,
    /// In each round.
    pub per_second: Vec<f64>,
    pub took_ms: Vec<f64>,
    spent: Duration,
}

/// Lets both refresh in turn, on the same core.
pub async fn measure(
    plan: &Plan,
    cores: &Cores,
    small: &mut Population,
    large: &mut Population,
) -> Outcome<Step> {
    let sessions = large.sessions;
    let (small_server, mut small_side) = start(plan, cores, small).await?;
    let (large_server, mut large_side) = start(plan, cores, large).await?;
    for round in 0..plan.rounds {
        progress(&format!("soak: {sessions} sessions, round {round} of {}", plan.rounds));
        // There and back, so that nobody always comes after the other.
        if round % 2 == 0 {
            small_side.refresh(plan, &small_server, small).await?;
            large_side.refresh(plan, &large_server, large).await?;
        } else {
            large_side.refresh(plan, &large_server, large).await?;
            small_side.refresh(plan, &small_server, small).await?;
        }
    }
    small_server.stop()?;
    large_server.stop()?;
    Ok(Step { sessions, small: small_side, large: large_side })
}

/// A server that is at rest, and has done once what it will do.
async fn start(plan: &Plan, cores: &Cores, population: &mut Population) -> Outcome<(Server, Side)> {
    let begun_at = Instant::now();
    let server = cores.run(|| Server::start(&plan.program, &population.authority.config))?;
    let started = begun_at.elapsed();
    let settled = settle(&server).await?;
    refresh_times(server.address, plan.connections, &mut population.tokens, plan.slice).await?;
    let side = Side { started, settled, per_second: Vec::new(), took_ms: Vec::new(), spent: Duration::ZERO };
    Ok((server, side))
}

/// Waits until the server rests. Gives how long that took.
pub async fn settle(server: &Server) -> Outcome<Duration> {
    let begun_at = Instant::now();
    while begun_at.elapsed() < PATIENCE {
        let (waited, before) = (begun_at.elapsed(), server.processor_time()?);
        sleep(LOOK).await;
        if server.processor_time()?.saturating_sub(before) < RESTS {
            return Ok(waited);
        }
    }
    Err(format!("the server was not at rest within {} s", PATIENCE.as_secs()).into())
}

impl Side {
    /// One slice.
    async fn refresh(&mut self, plan: &Plan, server: &Server, population: &mut Population) -> Outcome<()> {
        let (spent_before, begun_at) = (server.processor_time()?, Instant::now());
        let tokens = &mut population.tokens;
        let refreshes = refresh_times(server.address, plan.connections, tokens, plan.slice).await?;
        self.per_second.push(real(refreshes.len()) / begun_at.elapsed().as_secs_f64());
        self.spent += server.processor_time()?.saturating_sub(spent_before);
        self.took_ms.extend(refreshes.iter().map(|refresh| refresh.took_ms()));
        Ok(())
    }

    pub fn p99_ms(&self) -> f64 {
        Sample::new(self.took_ms.clone()).quantile(0.99)
    }

    /// Of the server, for each refresh.
    pub fn processor_ms(&self) -> f64 {
        self.spent.as_secs_f64() * 1000.0 / real(self.took_ms.len().max(1))
    }
}
