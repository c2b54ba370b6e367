use std::fmt;

use serde::Serialize;

use super::goals::goals;
use super::population::Population;
use super::purge::Purge;
use super::step::{Side, Step};
use super::turnover::Turnover;
use super::{FEWEST, Plan};
use crate::goal::Goal;
use crate::stats::{Sample, Summary};
use crate::table::table;

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    connections: u16,
    rounds: usize,
    /// Refreshes of each authority in a round.
    slice: usize,
    steps: Vec<Shown>,
    purge: ShownPurge,
    bytes_per_session: f64,
    turnover: ShownTurnover,
    goals: Vec<Goal>,
}

#[derive(Serialize)]
struct Shown {
    sessions: usize,
    large: ShownSide,
    /// In the same rounds, with as many sessions as in the first step.
    small: ShownSide,
    /// The median of the rounds' ratios, large to small.
    rate_ratio: f64,
    processor_ratio: f64,
    p99_ratio: f64,
}

#[derive(Serialize)]
struct ShownSide {
    per_second: Summary,
    /// Of the server.
    processor_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// From its start until it listens.
    started_ms: f64,
    /// From then until it is done with what it does at a start.
    settled_seconds: f64,
}

#[derive(Serialize)]
struct ShownPurge {
    expired: usize,
    /// Alone, one after the other.
    batches: Latencies,
    /// Refreshes while a server purges as many, and before.
    beside: Latencies,
    without: Latencies,
    beside_seconds: f64,
}

#[derive(Serialize)]
struct Latencies {
    count: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[derive(Serialize)]
struct ShownTurnover {
    sessions: usize,
    refreshes: usize,
    bytes_before: usize,
    bytes_after: usize,
    log_bytes: usize,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        steps: &[Step],
        large: &Population,
        purge: &Purge,
        turnover: &Turnover,
    ) -> Self {
        let Turnover { sessions, refreshes, bytes_before, bytes_after, log_bytes } = *turnover;
        Self {
            connections: plan.connections,
            rounds: plan.rounds,
            slice: plan.slice,
            steps: steps.iter().map(Shown::of).collect(),
            purge: ShownPurge::of(purge),
            bytes_per_session: large.bytes_per_session(),
            turnover: ShownTurnover { sessions, refreshes, bytes_before, bytes_after, log_bytes },
            goals: goals(steps, large, purge, turnover),
        }
    }
}

/// Taken within each round, where noise that lasts longer falls out.
pub fn ratio(large: &[f64], small: &[f64]) -> f64 {
    Sample::new(large.iter().zip(small).map(|(large, small)| large / small).collect()).quantile(0.5)
}

impl Shown {
    fn of(Step { sessions, small, large }: &Step) -> Self {
        Self {
            sessions: *sessions,
            rate_ratio: ratio(&large.per_second, &small.per_second),
            processor_ratio: large.processor_ms() / small.processor_ms(),
            p99_ratio: large.p99_ms() / small.p99_ms(),
            large: ShownSide::of(large),
            small: ShownSide::of(small),
        }
    }

    fn cells(&self) -> Vec<String> {
        let ShownSide { per_second, processor_ms, p50_ms, p99_ms, started_ms, settled_seconds } = &self.large;
        vec![
            self.sessions.to_string(),
            format!("{:.0}", per_second.median),
            format!("{:.3}", self.rate_ratio),
            format!("{processor_ms:.3}"),
            format!("{:.3}", self.processor_ratio),
            format!("{p50_ms:.2}"),
            format!("{p99_ms:.2}"),
            format!("{:.3}", self.p99_ratio),
            format!("{started_ms:.0}"),
            format!("{settled_seconds:.0}"),
        ]
    }
}

impl ShownSide {
    fn of(side: &Side) -> Self {
        Self {
            per_second: Sample::new(side.per_second.clone()).summary(),
            processor_ms: side.processor_ms(),
            p50_ms: Sample::new(side.took_ms.clone()).quantile(0.5),
            p99_ms: side.p99_ms(),
            started_ms: side.started.as_secs_f64() * 1000.0,
            settled_seconds: side.settled.as_secs_f64(),
        }
    }
}

impl ShownPurge {
    fn of(purge: &Purge) -> Self {
        Self {
            expired: purge.expired,
            batches: Latencies::of(&purge.batches_ms),
            beside: Latencies::of(&purge.beside_ms),
            without: Latencies::of(&purge.without_ms),
            beside_seconds: purge.beside_took.as_secs_f64(),
        }
    }
}

impl Latencies {
    fn of(took_ms: &[f64]) -> Self {
        let took = Sample::new(took_ms.to_vec());
        Self {
            count: took.len(),
            p50_ms: took.quantile(0.5),
            p99_ms: took.quantile(0.99),
            max_ms: took.max(),
        }
    }

    fn row(&self, name: String) -> Vec<String> {
        vec![
            name,
            self.count.to_string(),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.2}", self.max_ms),
        ]
    }
}

impl fmt::Display for ShownPurge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beside = format!("refreshes while the server purges, {:.1} s", self.beside_seconds);
        let rows = [
            self.batches.row(format!("batches of a purge of {}, alone", self.expired)),
            self.without.row("refreshes before a purge".to_owned()),
            self.beside.row(beside),
        ];
        write!(f, "{}", table(&["", "how many", "p50 ms", "p99 ms", "max ms"], rows))
    }
}

impl fmt::Display for ShownTurnover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sessions, each refreshed once, take {} bytes; after {} refreshes more they take {}, and the write-ahead log \
             had grown to {}",
            self.sessions, self.bytes_before, self.refreshes, self.bytes_after, self.log_bytes
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Soak: one core for the server, one for the load, on SQLite; {} connections refresh sessions drawn from all, in \
             {} rounds of {} each, in turn with an authority that has {FEWEST}",
            self.connections, self.rounds, self.slice
        )?;
        let header = [
            "sessions",
            "per s",
            "ratio",
            "CPU ms",
            "ratio",
            "p50 ms",
            "p99 ms",
            "ratio",
            "start ms",
            "settled s",
        ];
        writeln!(f, "{}", table(&header, self.steps.iter().map(Shown::cells)))?;
        writeln!(f, "{}", self.purge)?;
        writeln!(
            f,
            "A session takes {:.0} bytes of the database, its indices included",
            self.bytes_per_session
        )?;
        writeln!(f, "{}", self.turnover)?;
        let header = ["figures to reach", "measured", "by CPU time", "goal", ""];
        write!(f, "{}", table(&header, self.goals.iter().map(Goal::cells)))
    }
}
