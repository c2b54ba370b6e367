use std::fmt;

use serde::Serialize;

use super::contender::{What, Who};
use super::figures::{Figures, Row, ratio, typical};
use super::goals::goals;
use super::overload::{self, Manners};
use super::scene::Running;
use super::{MOST, Plan};
use crate::goal::Goal;
use crate::stats::{Sample, Summary};
use crate::table::table;

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    rounds: usize,
    slice_ms: u128,
    database: String,
    /// How much of the server's core a program gets that never waits: below 1 others are measured as well.
    share_of_core: f64,
    limits: Limits,
    rows: Vec<Shown>,
    /// At 60 % of what each takes at most.
    paced: Vec<Paced>,
    /// With more connections than are let in.
    overload: Vec<Crowd>,
    processes: Vec<Process>,
    goals: Vec<Goal>,
}

/// Bare work of the processor, per second.
#[derive(Serialize)]
struct Limits {
    signatures: Summary,
    verifications: Summary,
    password_hashes: Summary,
}

#[derive(Serialize)]
struct Shown {
    #[serde(skip)]
    key: (Who, What),
    who: &'static str,
    what: &'static str,
    connections: usize,
    per_second: Summary,
    /// Of what the processor's work in an answer would allow by itself.
    of_limit: Option<f64>,
    p50_ms: f64,
    p99_ms: f64,
    /// Of the server.
    processor_ms: f64,
}

#[derive(Serialize)]
struct Paced {
    who: &'static str,
    requests: usize,
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Serialize)]
struct Crowd {
    manners: Manners,
    connections: usize,
    answered_per_second: Summary,
    /// Of the answers to as many connections as the server can serve, in the same round.
    of_peak: Summary,
    answered_p99_ms: f64,
    refused_share: f64,
    refused_p50_ms: f64,
    refused_p99_ms: f64,
    /// By how much the asking side was late by itself.
    asker_late_p99_ms: f64,
}

#[derive(Serialize)]
struct Process {
    who: &'static str,
    started_ms: Summary,
    idle_mib: Option<f64>,
    /// With all connections open.
    loaded_mib: Option<f64>,
}

impl Report {
    pub(super) fn new(plan: &Plan, servers: &[Running], figures: &Figures) -> Self {
        let limit = |of: fn(&super::limits::Rates) -> f64| {
            Sample::new(figures.limits.iter().map(of).collect()).summary()
        };
        Self {
            rounds: plan.rounds,
            slice_ms: plan.slice.as_millis(),
            database: plan.database.split(':').next().unwrap_or_default().to_owned(),
            share_of_core: figures.share_of_core(),
            limits: Limits {
                signatures: limit(|rates| rates.sign.of_processor_time),
                verifications: limit(|rates| rates.verify.of_processor_time),
                password_hashes: limit(|rates| rates.hash.of_processor_time),
            },
            rows: shown(figures),
            paced: figures.paced_ms.iter().map(|(who, took)| Paced::of(*who, took)).collect(),
            overload: figures.overload.iter().map(Crowd::of).collect(),
            processes: servers.iter().map(|running| Process::of(running, figures)).collect(),
            goals: goals(figures, servers, plan.is_on_a_file()),
        }
    }

    /// The refreshes of one server, as a part of the bare signatures that two of them a refresh would allow.
    pub(super) fn refreshes(&self, connections: usize) -> Vec<(&'static str, f64)> {
        let refreshes =
            self.rows.iter().filter(|row| row.key.1 == What::Refresh && row.connections == connections);
        let on_one_core = refreshes.filter(|row| row.key.0 != Who::AttestoOnAllCores);
        on_one_core.map(|row| (row.who, row.per_second.median)).collect()
    }

    pub(super) fn signatures_per_second(&self) -> f64 {
        self.limits.signatures.median
    }
}

/// By what is asked for, then by who answers.
fn shown(figures: &Figures) -> Vec<Shown> {
    let mut rows: Vec<_> = figures.rows.iter().map(|row| Shown::of(row, figures)).collect();
    rows.sort_by_key(|row| (row.key.1, row.key.0, row.connections));
    rows
}

/// The median of the rounds.
pub fn loaded_mib(figures: &Figures, who: Who) -> Option<f64> {
    let loaded = figures.loaded_mib.get(&who).filter(|loaded| !loaded.is_empty())?;
    Some(Sample::new(loaded.clone()).quantile(0.5))
}

impl Shown {
    fn of(row: &Row, figures: &Figures) -> Self {
        let took = Sample::new(row.took_ms.clone());
        Self {
            key: (row.who, row.what),
            who: row.who.name(),
            what: row.what.name(),
            connections: row.connections,
            per_second: row.per_second(),
            of_limit: figures.limit(row).map(|limit| ratio(&row.per_second, &limit)),
            p50_ms: took.quantile(0.5),
            p99_ms: took.quantile(0.99),
            processor_ms: row.processor_ms(),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            format!("{}: {}", self.what, self.who),
            self.connections.to_string(),
            format!("{:.0}", self.per_second.median),
            self.of_limit.map_or_else(String::new, |ratio| format!("{ratio:.3}")),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.3}", self.processor_ms),
        ]
    }
}

impl Paced {
    fn of(who: Who, slices: &[Sample]) -> Self {
        Self {
            who: who.name(),
            requests: slices.iter().map(Sample::len).sum(),
            p50_ms: typical(slices, 0.5),
            p99_ms: typical(slices, 0.99),
        }
    }
}

impl Crowd {
    fn of(row: &overload::Row) -> Self {
        let sample = |values: &[f64]| Sample::new(values.to_vec());
        let refused = sample(&row.refused_ms);
        Self {
            manners: row.manners,
            connections: row.connections,
            answered_per_second: sample(&row.answered_per_second).summary(),
            of_peak: sample(&row.of_peak).summary(),
            answered_p99_ms: sample(&row.answered_ms).quantile(0.99),
            refused_share: row.refused(),
            refused_p50_ms: refused.quantile(0.5),
            refused_p99_ms: refused.quantile(0.99),
            asker_late_p99_ms: sample(&row.late_ms).quantile(0.99),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.manners.name().to_owned(),
            self.connections.to_string(),
            format!("{:.0}", self.answered_per_second.median),
            format!("{:.3}", self.of_peak.median),
            format!("{:.1}", self.answered_p99_ms),
            format!("{:.1}", 100.0 * self.refused_share),
            format!("{:.1}", self.refused_p50_ms),
            format!("{:.1}", self.refused_p99_ms),
            format!("{:.1}", self.asker_late_p99_ms),
        ]
    }
}

impl Process {
    fn of(running: &Running, figures: &Figures) -> Self {
        Self {
            who: running.who.name(),
            started_ms: Sample::new(running.starts_ms.clone()).summary(),
            idle_mib: running.idle_mib,
            loaded_mib: loaded_mib(figures, running.who),
        }
    }

    fn cells(&self) -> Vec<String> {
        let mib = |mib: Option<f64>| mib.map_or_else(String::new, |mib| format!("{mib:.1}"));
        vec![
            self.who.to_owned(),
            format!("{:.0}", self.started_ms.median),
            mib(self.idle_mib),
            mib(self.loaded_mib),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { signatures, verifications, password_hashes } = &self.limits;
        writeln!(
            f,
            "Serving: one core for the servers, one for the load, on {}; {} rounds of {} ms each, RSA with 2048 bits; the \
             bare processor makes {:.0} signatures a second, {:.0} verifications, {:.1} password hashes, and {:.0} % of it \
             were to be had",
            self.database,
            self.rounds,
            self.slice_ms,
            signatures.median,
            verifications.median,
            password_hashes.median,
            100.0 * self.share_of_core
        )?;
        let header = ["", "connections", "per s", "of limit", "p50 ms", "p99 ms", "CPU ms"];
        writeln!(f, "{}", table(&header, self.rows.iter().map(Shown::cells)))?;
        for Paced { who, requests, p50_ms, p99_ms } in &self.paced {
            writeln!(
                f,
                "Refreshes at 60 % of the most, {who}: {requests} of them, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms from when \
                 they were due, medians of the slices"
            )?;
        }
        if !self.overload.is_empty() {
            let header = [
                "refreshes, too many at once",
                "connections",
                "200s per s",
                "of peak",
                "p99 ms",
                "% 503",
                "503 p50 ms",
                "503 p99 ms",
                "client late p99 ms",
            ];
            writeln!(f, "{}", table(&header, self.overload.iter().map(Crowd::cells)))?;
        }
        let loaded = format!("MiB, {MOST} connections");
        let header = ["", "start ms", "MiB idle", &loaded];
        writeln!(f, "{}", table(&header, self.processes.iter().map(Process::cells)))?;
        let header = ["figures to reach", "measured", "by CPU time", "goal", ""];
        write!(f, "{}", table(&header, self.goals.iter().map(Goal::cells)))
    }
}
