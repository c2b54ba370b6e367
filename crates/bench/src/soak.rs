//! How cost grows with the number of sessions: refreshes, the purge of what has expired, and the database, on SQLite.
//!
//! Two authorities are asked in turn, on the same core: one that stays as small as the first step, and one that grows from
//! step to step. What they do within the same rounds is compared, because a machine is not the same an hour later.

mod goals;
mod population;
mod purge;
mod refreshing;
mod report;
mod room;
mod rows;
mod step;
mod turnover;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;

use crate::Outcome;
use crate::cores::Cores;
use crate::soak::population::Population;
pub use crate::soak::report::Report;

/// The smallest number of sessions.
const FEWEST: usize = 10_000;

/// The largest, unless it is told otherwise.
const MOST: usize = 10_000_000;

/// The same of a quick run.
const MOST_QUICKLY: usize = 50_000;

/// A tenth of all sessions has expired, and no more than takes the server some seconds.
const MOST_EXPIRED: usize = 100_000;

/// What is asked for.
#[derive(clap::Args)]
pub struct Growth {
    /// Measure instead how cost grows with the number of sessions, up to ten million: refreshes, the purge, the database, all
    /// on SQLite. Takes long, and needs 15 GB free in the folder of temporary files (TMPDIR)
    #[arg(long, conflicts_with_all = ["measurements", "database", "peers", "only", "svg"])]
    pub soak: bool,
    /// How many sessions there are in the end of a soak, of 1.5 kB each [default: 10000000, with --quick 50000]
    #[arg(long, value_name = "N", requires = "soak", value_parser = RangedU64ValueParser::<usize>::new().range(10_000..))]
    pub sessions: Option<usize>,
}

/// What to measure, and for how long.
pub struct Plan {
    program: PathBuf,
    connections: u16,
    /// How many sessions there are, one number after the other.
    steps: Vec<usize>,
    rounds: usize,
    /// Refreshes of each authority in a round.
    slice: usize,
    expired: usize,
    /// Refreshes of the same sessions.
    turnover: usize,
}

impl Plan {
    /// A run of the server `program` up to so many sessions.
    pub fn new(program: PathBuf, connections: u16, sessions: Option<usize>, quick: bool) -> Self {
        let (rounds, slice, turnover, most) =
            if quick { (2, 300, 5_000, MOST_QUICKLY) } else { (6, 4_000, 1_000_000, MOST) };
        let steps = steps(sessions.unwrap_or(most));
        let expired = (steps.last().unwrap_or(&FEWEST) / 10).min(MOST_EXPIRED);
        Self { program, connections, steps, rounds, slice, expired, turnover }
    }

    fn most(&self) -> usize {
        self.steps.last().copied().unwrap_or(FEWEST)
    }

    /// Of each authority in a step, with the slice that is not measured.
    fn refreshes(&self) -> usize {
        (1 + self.rounds) * self.slice
    }
}

/// Lets an authority grow, and measures it at each step.
pub fn measure(plan: &Plan) -> Outcome<Report> {
    room::require(plan.most())?;
    let (load, others) = Cores::allowed()?.split_last();
    let (server, _) = others.split_last();
    load.run(|| attesto_server::block_on(grow(plan, &server)))
}

async fn grow(plan: &Plan, server: &Cores) -> Outcome<Report> {
    let mut small = Population::found(&plan.program).await?;
    small.grow(FEWEST)?;
    small.draw(plan.refreshes()).await?;
    let mut large = Population::found(&plan.program).await?;
    let mut steps = Vec::new();
    for sessions in &plan.steps {
        large.grow(*sessions)?;
        large.draw(plan.refreshes()).await?;
        steps.push(step::measure(plan, server, &mut small, &mut large).await?);
    }
    let purge = purge::measure(plan, server, &mut large).await?;
    let turnover = turnover::measure(plan, &small).await?;
    Ok(Report::new(plan, &steps, &large, &purge, &turnover))
}

/// Ten times as many each time, and at last `most`.
fn steps(most: usize) -> Vec<usize> {
    let tenfold = std::iter::successors(Some(FEWEST), |sessions| sessions.checked_mul(10));
    tenfold.take_while(|sessions| *sessions < most).chain([most]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_ten_times_as_many_sessions() {
        assert_eq!(steps(10_000_000), [10_000, 100_000, 1_000_000, 10_000_000]);
        assert_eq!(steps(50_000), [10_000, 50_000]);
        assert_eq!(steps(FEWEST), [FEWEST]);
    }
}
