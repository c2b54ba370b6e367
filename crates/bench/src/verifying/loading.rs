//! A snapshot that is taken in while tokens are verified.

use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use attesto_verifier::{Event, Verifier};
use serde::Serialize;
use serde_json::Value;

use super::scene::{Gate, Keys, Published, RECORDS, builder};
use crate::cores::Cores;
use crate::stats::Sample;
use crate::table::verdict;
use crate::{Outcome, progress};

const LOADED_GOAL_MS: f64 = 100.0;
const DELAY_GOAL_MS: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    snapshots: usize,
    /// From the last byte of the answer until verdicts go by it.
    loaded_median_ms: f64,
    loaded_max_ms: f64,
    loaded_goal_ms: f64,
    /// The longest verification beside each load; of as long a time without one, the same.
    longest_with_ms: Longest,
    longest_without_ms: Longest,
    delay_goal_ms: f64,
    meets_goal: bool,
}

#[derive(Serialize)]
struct Longest {
    median: f64,
    max: f64,
}

/// Has a verifier take in one snapshot after the other on `others`, while it verifies on `one` without a pause.
pub fn measure(one: &Cores, others: &Cores, snapshots: usize) -> Outcome<Report> {
    progress(&format!("verifying: {snapshots} snapshots of {RECORDS} records"));
    let keys = Keys::make()?;
    let (mut loaded, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..snapshots {
        let round = others.run(|| round(&keys, one))?;
        loaded.push(milliseconds(round.loaded));
        with.push(milliseconds(round.longest_with));
        without.push(milliseconds(round.longest_without));
    }
    let (loaded, with, without) = (Sample::new(loaded), longest(with), longest(without));
    let meets_goal = loaded.max() < LOADED_GOAL_MS && with.max - without.max <= DELAY_GOAL_MS;
    Ok(Report {
        snapshots,
        loaded_median_ms: loaded.quantile(0.5),
        loaded_max_ms: loaded.max(),
        loaded_goal_ms: LOADED_GOAL_MS,
        longest_with_ms: with,
        longest_without_ms: without,
        delay_goal_ms: DELAY_GOAL_MS,
        meets_goal,
    })
}

struct Round {
    loaded: Duration,
    longest_with: Duration,
    longest_without: Duration,
}

fn round(keys: &Keys, verifying_on: &Cores) -> Outcome<Round> {
    let gate = Gate::new();
    let (sender, loads) = channel();
    let verifier = builder()
        .fetcher(Published::of(keys)?.behind(gate.clone()))
        .on_event(move |event| {
            if matches!(event, Event::RevocationsRefreshed { records, .. } if *records == RECORDS) {
                let _ = sender.send(Instant::now());
            }
        })
        .build_blocking()?;
    verifier.ready_blocking(PATIENCE)?;
    let token = keys.token()?;
    let (quiet, stop) = (AtomicBool::new(true), AtomicBool::new(false));
    thread::scope(|scope| {
        let verifying = scope.spawn(|| verifying_on.run(|| verify(&verifier, &token, &quiet, &stop)));
        thread::sleep(Duration::from_millis(150));
        quiet.store(false, Ordering::Relaxed);
        let opened = gate.open();
        let loaded = loads.recv_timeout(PATIENCE);
        stop.store(true, Ordering::Relaxed);
        let (longest_without, longest_with) =
            verifying.join().map_err(|_| "the verifying thread panicked")??;
        Ok(Round { loaded: loaded?.saturating_duration_since(opened), longest_with, longest_without })
    })
}

/// Verifies until told to stop; gives the longest time that one took while it was quiet, and afterwards.
fn verify(
    verifier: &Verifier,
    token: &str,
    quiet: &AtomicBool,
    stop: &AtomicBool,
) -> Outcome<(Duration, Duration)> {
    let (mut without, mut with) = (Duration::ZERO, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let longest = if quiet.load(Ordering::Relaxed) { &mut without } else { &mut with };
        let begun = Instant::now();
        black_box(verifier.verify::<Value>(token)?);
        *longest = begun.elapsed().max(*longest);
    }
    Ok((without, with))
}

fn longest(values: Vec<f64>) -> Longest {
    let sample = Sample::new(values);
    Longest { median: sample.quantile(0.5), max: sample.max() }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { snapshots, loaded_median_ms, loaded_max_ms, longest_with_ms, longest_without_ms, .. } =
            self;
        write!(
            f,
            "A snapshot of {RECORDS} records is loaded in {loaded_median_ms:.1} ms (longest of {snapshots}: \
             {loaded_max_ms:.1}); beside it, the longest verification takes {:.3} ms (longest of all {:.3}), without it \
             {:.3} ms ({:.3}). Goal: less than {LOADED_GOAL_MS} ms, and no more than {DELAY_GOAL_MS} ms longer: {}.",
            longest_with_ms.median,
            longest_with_ms.max,
            longest_without_ms.median,
            longest_without_ms.max,
            verdict(self.meets_goal),
        )
    }
}
