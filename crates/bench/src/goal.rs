//! The figures to reach.

use serde::Serialize;

use crate::table::verdict;

/// A figure, and where it has to be.
#[derive(Serialize)]
pub struct Goal {
    pub what: String,
    pub measured: f64,
    /// The same, with the server's processor time in the place of the clock: what others do meanwhile counts less.
    pub by_processor_time: Option<f64>,
    pub unit: &'static str,
    #[serde(flatten)]
    pub bound: Bound,
    pub is_met: bool,
}

/// Where a figure has to be.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

impl Goal {
    pub fn new(what: impl Into<String>, measured: f64, unit: &'static str, bound: Bound) -> Self {
        let is_met = match bound {
            AtLeast(least) => measured >= least,
            AtMost(most) => measured <= most,
        };
        Self { what: what.into(), measured, by_processor_time: None, unit, bound, is_met }
    }

    pub fn by_processor_time(self, ratio: f64) -> Self {
        Self { by_processor_time: Some(ratio), ..self }
    }

    /// For a table with the columns what, measured, by processor time, goal, verdict.
    pub fn cells(&self) -> Vec<String> {
        let unit = self.unit;
        let bound = match self.bound {
            AtLeast(least) => format!("≥ {least} {unit}"),
            AtMost(most) => format!("≤ {most} {unit}"),
        };
        let by_processor_time =
            self.by_processor_time.map_or_else(String::new, |it| format!("{it:.2} {unit}"));
        vec![
            self.what.clone(),
            format!("{:.2} {unit}", self.measured),
            by_processor_time,
            bound,
            verdict(self.is_met).to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound() {
        let is_met = |measured, bound| Goal::new("", measured, "", bound).is_met;
        assert!(is_met(0.9, AtLeast(0.9)) && !is_met(0.89, AtLeast(0.9)));
        assert!(is_met(50.0, AtMost(50.0)) && !is_met(50.1, AtMost(50.0)));
    }
}
