use super::FEWEST;
use super::population::Population;
use super::purge::Purge;
use super::report::ratio;
use super::step::Step;
use super::turnover::Turnover;
use crate::goal::Bound::{AtLeast, AtMost};
use crate::goal::Goal;
use crate::stats::{Sample, real};

/// The figures to reach.
pub fn goals(steps: &[Step], large: &Population, purge: &Purge, turnover: &Turnover) -> Vec<Goal> {
    let grown = steps.iter().filter(|step| step.sessions > FEWEST);
    let mut goals: Vec<_> = grown.flat_map(of_step).collect();
    let longest_ms = Sample::new(purge.batches_ms.clone()).max();
    goals.push(Goal::new("purge: longest batch", longest_ms, "ms", AtMost(50.0)));
    goals.push(Goal::new("database, for each session", large.bytes_per_session(), "bytes", AtMost(500.0)));
    goals.push(Goal::new(
        format!("database after {} refreshes of {} sessions", turnover.refreshes, turnover.sessions),
        turnover.growth(),
        "×",
        // A few pages more are no growth; a byte for each refresh would be ten times as much.
        AtMost(1.01),
    ));
    let log_megabytes = real(turnover.log_bytes) / 1e6;
    goals.push(Goal::new("write-ahead log after them", log_megabytes, "MB", AtMost(64.0)));
    goals
}

/// Beside as many sessions as in the first step.
fn of_step(step: &Step) -> [Goal; 2] {
    let Step { sessions, small, large } = step;
    let name = |what: &str| format!("{sessions} sessions, of {FEWEST}: {what}");
    [
        Goal::new(
            name("refreshes per second"),
            ratio(&large.per_second, &small.per_second),
            "×",
            AtLeast(0.8),
        )
        .by_processor_time(small.processor_ms() / large.processor_ms()),
        Goal::new(name("p99"), large.p99_ms() / small.p99_ms(), "×", AtMost(1.2)),
    ]
}
