//! Tokens through the whole issuer against the bare signature of the same key, on one core.

mod contender;
mod scene;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cores::Cores;
use crate::signing::contender::Contender;
use crate::signing::scene::Scene;
use crate::stats::{Sample, Summary};
use crate::table::{table, verdict};
use crate::{Outcome, progress};

/// The issuer's share of the bare rate that is aimed at, for RS256.
const GOAL: f64 = 0.95;

/// So short that whatever slows the machine down slows all contenders alike.
const SLICE: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    rounds: usize,
    slice_ms: u128,
    signing_input_bytes: usize,
    goal: f64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    algorithm: &'static str,
    name: &'static str,
    /// Of processor time; over the slices.
    signatures_per_second: Summary,
    /// Of this rate to the bare one of the same round.
    ratio_to_bare: Summary,
    /// `None` where there is no goal.
    meets_goal: Option<bool>,
}

/// Lets all contenders sign in turn, round by round, on one core.
pub fn measure(quick: bool) -> Outcome<Report> {
    let (one, _) = Cores::allowed()?.split_last();
    one.run(|| attesto_server::block_on(rounds(if quick { 10 } else { 100 })))
}

async fn rounds(rounds: usize) -> Outcome<Report> {
    progress("signing: setting up an authority");
    let scene = Scene::set().await?;
    let contenders = scene.contenders();
    for contender in &contenders {
        contender.slice(SLICE).await?;
    }
    let mut rates = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        if round % 10 == 0 {
            progress(&format!("signing: round {round} of {rounds}"));
        }
        for turn in 0..contenders.len() {
            // There and back, so that nobody always comes after the same neighbour.
            let at = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
            rates[at].push(contenders[at].slice(SLICE).await?);
            // The server's own jobs.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(Report {
        rounds,
        slice_ms: SLICE.as_millis(),
        signing_input_bytes: scene.message().len(),
        goal: GOAL,
        rows: rows(&contenders, &rates),
    })
}

/// The first of each algorithm is the bare one.
fn rows(contenders: &[Contender<'_>], rates: &[Vec<f64>]) -> Vec<Row> {
    let row = |(contender, own): (&Contender<'_>, &Vec<f64>)| {
        let bare = contenders.iter().position(|other| other.algorithm == contender.algorithm)?;
        let ratio = Sample::new(ratios(own, &rates[bare])).summary();
        Some(Row {
            algorithm: contender.algorithm.as_str(),
            name: contender.name,
            signatures_per_second: Sample::new(own.clone()).summary(),
            ratio_to_bare: ratio,
            meets_goal: contender.has_goal().then_some(ratio.median >= GOAL),
        })
    };
    contenders.iter().zip(rates).filter_map(row).collect()
}

/// Round by round: noise that lasts longer than a round falls out.
fn ratios(rates: &[f64], bare: &[f64]) -> Vec<f64> {
    rates.iter().zip(bare).map(|(rate, bare)| rate / bare).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, slice_ms, signing_input_bytes, goal, rows } = self;
        writeln!(
            f,
            "Signing: one core, {rounds} rounds of {slice_ms} ms each, {signing_input_bytes} bytes to sign; per second \
             of processor time, medians and quartiles"
        )?;
        let header = ["", "signatures/s", "quartiles", "of bare", "quartiles", "goal"];
        let cells = rows.iter().map(|row| {
            let (rate, ratio) = (row.signatures_per_second, row.ratio_to_bare);
            vec![
                format!("{} {}", row.algorithm, row.name),
                format!("{:.0}", rate.median),
                format!("{:.0}–{:.0}", rate.lower_quartile, rate.upper_quartile),
                format!("{:.3}", ratio.median),
                format!("{:.3}–{:.3}", ratio.lower_quartile, ratio.upper_quartile),
                row.meets_goal.map_or_else(String::new, |met| format!("{goal}: {}", verdict(met))),
            ]
        });
        write!(f, "{}", table(&header, cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was twice as slow in the second round: no difference between the two.
        let ratio = Sample::new(ratios(&[95.0, 47.5, 95.0], &[100.0, 50.0, 100.0])).summary();
        assert!((ratio.lower_quartile - 0.95).abs() < 1e-9 && (ratio.upper_quartile - 0.95).abs() < 1e-9);
    }

    /// The whole path, without a clock to judge it by.
    #[test]
    fn every_contender_signs() {
        let report = attesto_server::block_on(rounds(1)).unwrap();
        let names: Vec<_> = report.rows.iter().map(|row| (row.algorithm, row.name)).collect();
        let expected = ["bare", "signer", "sign-in", "refresh"];
        assert_eq!(names[..4], expected.map(|name| ("RS256", name)));
        assert_eq!(names[4..], expected.map(|name| ("ES256", name)));
        assert!(report.rows.iter().all(|row| row.signatures_per_second.median > 0.0));
        let goals: Vec<_> = report.rows.iter().map(|row| row.meets_goal.is_some()).collect();
        assert_eq!(goals, [false, false, true, true, false, false, false, false]);
    }
}
