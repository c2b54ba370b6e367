use std::collections::BTreeMap;
use std::time::Duration;

use super::contender::{What, Who};
use super::limits::Rates;
use super::load::Slice;
use super::overload;
use crate::stats::{Sample, Summary, real};

/// Everything that was measured, as it came.
#[derive(Default)]
pub struct Figures {
    pub limits: Vec<Rates>,
    pub rows: Vec<Row>,
    /// With all connections open, once in each round.
    pub loaded_mib: BTreeMap<Who, Vec<f64>>,
    /// At a moderate pace, by slices.
    pub paced_ms: BTreeMap<Who, Vec<Sample>>,
    /// With more connections than are let in.
    pub overload: Vec<overload::Row>,
}

/// One thing asked of one server on so many connections.
pub struct Row {
    pub who: Who,
    pub what: What,
    pub connections: usize,
    /// In each round.
    pub per_second: Vec<f64>,
    pub took_ms: Vec<f64>,
    pub spent: Duration,
}

impl Figures {
    pub fn add(&mut self, who: Who, what: What, connections: usize, slice: Slice, spent: Duration) {
        let at = self.rows.iter().position(|row| row.is(who, what, connections));
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row::new(who, what, connections));
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.per_second.push(slice.per_second);
        row.took_ms.extend(slice.took_ms);
        row.spent += spent;
    }

    pub fn row(&self, who: Who, what: What, connections: usize) -> Option<&Row> {
        self.rows.iter().find(|row| row.is(who, what, connections))
    }

    /// Round by round: signatures per second by the clock.
    pub fn signatures(&self) -> Vec<f64> {
        self.limits.iter().map(|rates| rates.sign.by_the_clock).collect()
    }

    /// How much of the server's core a program gets that never waits.
    pub fn share_of_core(&self) -> f64 {
        let share = |rates: &Rates| rates.sign.by_the_clock / rates.sign.of_processor_time;
        Sample::new(self.limits.iter().map(share).collect()).quantile(0.5)
    }

    /// A bare signature.
    pub fn signature_ms(&self) -> f64 {
        let per_second = self.limits.iter().map(|rates| rates.sign.of_processor_time).collect();
        1000.0 / Sample::new(per_second).quantile(0.5)
    }

    /// What the work of the processor that an answer consists of would allow by itself, round by round. Of a document it
    /// is what the bare program sends.
    pub fn limit(&self, row: &Row) -> Option<Vec<f64>> {
        let of_each = |limit: fn(&Rates) -> f64| self.limits.iter().map(limit).collect();
        Some(match (row.what, row.who) {
            (What::Refresh, Who::AttestoEs256 | Who::OidcProvider) => self.signatures(),
            (What::Refresh | What::Pair, _) => of_each(|rates| rates.sign.by_the_clock / 2.0),
            (What::SignIn, _) => {
                of_each(|rates| 1.0 / (2.0 / rates.sign.by_the_clock + 1.0 / rates.hash.by_the_clock))
            }
            (What::Verify, _) => of_each(|rates| rates.verify.by_the_clock),
            (What::Jwks | What::JwksUnchanged, _) => {
                self.row(Who::Program, row.what, row.connections)?.per_second.clone()
            }
        })
    }
}

impl Row {
    fn new(who: Who, what: What, connections: usize) -> Self {
        Self { who, what, connections, per_second: Vec::new(), took_ms: Vec::new(), spent: Duration::ZERO }
    }

    fn is(&self, who: Who, what: What, connections: usize) -> bool {
        (self.who, self.what, self.connections) == (who, what, connections)
    }

    pub fn per_second(&self) -> Summary {
        Sample::new(self.per_second.clone()).summary()
    }

    /// Of the server, for each request.
    pub fn processor_ms(&self) -> f64 {
        self.spent.as_secs_f64() * 1000.0 / real(self.took_ms.len().max(1))
    }
}

/// The quantile of each slice, and of those the median: a machine that stands still for once spoils one slice, not all.
pub fn typical(slices: &[Sample], share: f64) -> f64 {
    Sample::new(slices.iter().map(|slice| slice.quantile(share)).collect()).quantile(0.5)
}

/// Taken within each round, where noise that lasts longer falls out.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    Sample::new(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()).summary().median
}
