//! Two kinds of load: as much as the server takes, and as much as it is told.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::asker::Asker;
use crate::Outcome;
use crate::stats::real;

/// What one slice of time showed.
pub struct Slice {
    pub per_second: f64,
    /// Each request, until the last byte of its answer.
    pub took_ms: Vec<f64>,
}

/// Every asker asks as soon as it has its answer.
pub async fn without_pause(askers: &mut [Asker], length: Duration) -> Outcome<Slice> {
    connect(askers).await?;
    let begun_at = Instant::now();
    let end = begun_at + length;
    let took_ms = try_join_all(askers.iter_mut().map(|asker| ask_until(asker, end))).await?.concat();
    let per_second = real(took_ms.len()) / begun_at.elapsed().as_secs_f64();
    Ok(Slice { per_second, took_ms })
}

/// So many requests a second in all, whether the server keeps up or not. Each is timed from the instant at which it was
/// due: one that had to wait for the answer to another one has waited.
pub async fn at_pace(askers: &mut [Asker], per_second: f64, length: Duration) -> Outcome<Vec<f64>> {
    connect(askers).await?;
    let begun_at = Instant::now();
    let between = Duration::from_secs_f64(1.0 / per_second);
    let every = between.mul_f64(real(askers.len()));
    let all = askers.iter_mut().enumerate().map(|(at, asker)| {
        let first = begun_at + between.mul_f64(real(at));
        ask_every(asker, first, every, begun_at + length)
    });
    let took_ms = try_join_all(all).await?.concat();
    Ok(took_ms)
}

pub async fn connect(askers: &mut [Asker]) -> Outcome<()> {
    try_join_all(askers.iter_mut().map(Asker::connect)).await?;
    Ok(())
}

async fn ask_until(asker: &mut Asker, end: Instant) -> Outcome<Vec<f64>> {
    let mut took_ms = Vec::new();
    loop {
        let begun_at = Instant::now();
        if begun_at >= end {
            return Ok(took_ms);
        }
        asker.ask().await?;
        took_ms.push(milliseconds_since(begun_at));
    }
}

async fn ask_every(asker: &mut Asker, first: Instant, every: Duration, end: Instant) -> Outcome<Vec<f64>> {
    let mut took_ms = Vec::new();
    let mut due = first;
    while due < end {
        wait_until(due).await;
        asker.ask().await?;
        took_ms.push(milliseconds_since(due));
        due += every;
    }
    Ok(took_ms)
}

/// To a few microseconds: the runtime's timer has ticks of a millisecond, as much as a refresh takes.
async fn wait_until(due: Instant) {
    const TICKS: Duration = Duration::from_millis(2);
    if let Some(early) = due.checked_sub(TICKS) {
        tokio::time::sleep_until(early.into()).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

pub fn milliseconds_since(begun_at: Instant) -> f64 {
    begun_at.elapsed().as_secs_f64() * 1000.0
}
