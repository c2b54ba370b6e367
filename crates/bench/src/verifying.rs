//! Tokens through the verifier against the bare verification of the same key, on one core.

mod contender;
mod loading;
mod scene;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cores::Cores;
use crate::stats::{Sample, Summary};
use crate::table::{table, verdict};
use crate::verifying::contender::{Contender, Way};
use crate::verifying::scene::Scene;
use crate::{Outcome, progress};

/// So short that whatever slows the machine down slows all contenders alike.
const SLICE: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    rounds: usize,
    slice_ms: u128,
    token_bytes: usize,
    records: usize,
    rows: Vec<Row>,
    /// Of the list of `records` records.
    bytes_per_record: f64,
    bytes_per_record_goal: f64,
    loading: loading::Report,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Of processor time; over the slices.
    per_second: Summary,
    /// Of this rate to the bare one of the same round.
    ratio_to_bare: Summary,
    /// What this takes longer than the bare verification of the same round.
    beyond_bare_ns: Summary,
    goal: &'static str,
    /// `None` where there is no goal.
    meets_goal: Option<bool>,
}

/// Lets all contenders verify in turn, round by round, on one core.
pub fn measure(quick: bool) -> Outcome<Report> {
    let (one, others) = Cores::allowed()?.split_last();
    let scene = Scene::set()?;
    let (rounds, rates) = one.run(|| rounds(&scene, if quick { 10 } else { 100 }))?;
    Ok(Report {
        rounds,
        slice_ms: SLICE.as_millis(),
        token_bytes: scene.token().len(),
        records: scene::RECORDS,
        rows: rows(&scene.contenders(), &rates),
        bytes_per_record: scene::bytes_per_record()?,
        bytes_per_record_goal: 60.0,
        loading: loading::measure(&one, &others, if quick { 3 } else { 20 })?,
    })
}

fn rounds(scene: &Scene, rounds: usize) -> Outcome<(usize, Vec<Vec<f64>>)> {
    let contenders = scene.contenders();
    for contender in &contenders {
        contender.slice(SLICE)?;
    }
    let mut rates = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        if round % 10 == 0 {
            progress(&format!("verifying: round {round} of {rounds}"));
        }
        for turn in 0..contenders.len() {
            // There and back, so that nobody always comes after the same neighbour.
            let at = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
            rates[at].push(contenders[at].slice(SLICE)?);
        }
    }
    Ok((rounds, rates))
}

/// The first is the bare one.
fn rows(contenders: &[Contender<'_>], rates: &[Vec<f64>]) -> Vec<Row> {
    let bare = &rates[0];
    let row = |(contender, own): (&Contender<'_>, &Vec<f64>)| {
        let by_round = |of: fn(f64, f64) -> f64| {
            Sample::new(own.iter().zip(bare).map(|(own, bare)| of(*own, *bare)).collect()).summary()
        };
        let row = Row {
            name: contender.name,
            per_second: Sample::new(own.clone()).summary(),
            ratio_to_bare: by_round(|own, bare| own / bare),
            beyond_bare_ns: by_round(|own, bare| 1e9 / own - 1e9 / bare),
            goal: "",
            meets_goal: None,
        };
        let (ratio, beyond) = (row.ratio_to_bare.median, row.beyond_bare_ns.median);
        let each = 1e9 / row.per_second.median;
        let verify = rates.iter().zip(contenders).find(|(_, other)| matches!(other.way, Way::Verify(..)));
        let verify = verify.map_or(0.0, |(rates, _)| Sample::new(rates.clone()).summary().median);
        let (goal, meets_goal) = match contender.goal {
            None => ("", None),
            Some(contender::Goal::WithoutFeed) => {
                ("≥ 0.92, < 1,000 ns", Some(ratio >= 0.92 && beyond < 1_000.0))
            }
            Some(contender::Goal::WithFeed) => {
                ("≥ 0.89, < 1,500 ns", Some(ratio >= 0.89 && beyond < 1_500.0))
            }
            Some(contender::Goal::Cached) => ("≥ 20 × verify", Some(row.per_second.median >= 20.0 * verify)),
            Some(contender::Goal::LookUp) => ("< 500 ns", Some(each < 500.0)),
        };
        Row { goal, meets_goal, ..row }
    };
    contenders.iter().zip(rates).map(row).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, slice_ms, token_bytes, records, rows, .. } = self;
        writeln!(
            f,
            "Verifying: one core, {rounds} rounds of {slice_ms} ms each, RS256 with 2048 bits, a token of {token_bytes} \
             bytes, {records} records; per second of processor time, medians"
        )?;
        let header = ["", "per second", "ns each", "of bare", "ns beyond bare", "goal"];
        let cells = rows.iter().map(|row| {
            vec![
                row.name.to_owned(),
                format!("{:.0}", row.per_second.median),
                format!("{:.0}", 1e9 / row.per_second.median),
                format!("{:.3}", row.ratio_to_bare.median),
                format!("{:.0}", row.beyond_bare_ns.median),
                row.meets_goal.map_or_else(String::new, |met| format!("{}: {}", row.goal, verdict(met))),
            ]
        });
        writeln!(f, "{}", table(&header, cells))?;
        let (bytes, goal) = (self.bytes_per_record, self.bytes_per_record_goal);
        writeln!(
            f,
            "A record takes {bytes:.1} bytes of memory (goal: at most {goal}: {}).",
            verdict(bytes <= goal)
        )?;
        write!(f, "{}", self.loading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole path, without a clock to judge it by.
    #[test]
    fn every_contender_verifies() {
        let scene = Scene::set().unwrap();
        let (_, rates) = rounds(&scene, 1).unwrap();
        let rows = rows(&scene.contenders(), &rates);
        let names: Vec<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names, ["bare", "verify", "verify, with feed", "the same, cached", "look-up alone"]);
        assert!(rows.iter().all(|row| row.per_second.median > 0.0));
        assert!(scene::bytes_per_record().unwrap() > 24.0);
    }
}
