//! The removal of expired sessions: batches with nobody beside, and refreshes beside a server that does it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use attesto_server::{Clock, PURGE_BATCH, with_rests};
use attesto_store::Store;
use tokio::time::sleep;

use super::Plan;
use super::population::Population;
use super::refreshing::{Refreshed, refresh_times, refresh_while};
use super::rows::Rows;
use super::step::settle;
use crate::cores::Cores;
use crate::server::Server;
use crate::{Outcome, progress};

/// Live sessions end after today, and expired ones ended before yesterday.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often it is looked how far the server is.
const LOOK: Duration = Duration::from_millis(20);

/// A server looks for what has expired once a minute.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What was measured.
pub struct Purge {
    pub expired: usize,
    /// With the server's rests between them, and nothing beside.
    pub batches_ms: Vec<f64>,
    /// Refreshes before the server began.
    pub without_ms: Vec<f64>,
    /// Refreshes while it was at it.
    pub beside_ms: Vec<f64>,
    pub beside_took: Duration,
}

/// While the server purged.
struct Window {
    begun_at: Instant,
    ended_at: Instant,
}

/// Both, on a database with all its sessions.
pub async fn measure(plan: &Plan, cores: &Cores, population: &mut Population) -> Outcome<Purge> {
    progress(&format!("soak: purging {} expired sessions", plan.expired));
    let batches_ms = batches(plan, population).await?;
    let server = cores.run(|| Server::start(&plan.program, &population.authority.config))?;
    settle(&server).await?;
    progress("soak: refreshing until the server has purged as many, within a minute or two");
    let quiet = refresh_times(server.address, plan.connections, &mut population.tokens, plan.slice).await?;
    let (refreshes, window) = beside(plan, &server, population).await?;
    server.stop()?;
    let without = quiet.iter().chain(refreshes.iter().filter(|refresh| window.follows(refresh)));
    let within = refreshes.iter().filter(|refresh| window.touches(refresh));
    Ok(Purge {
        expired: plan.expired,
        batches_ms,
        without_ms: without.map(Refreshed::took_ms).collect(),
        beside_ms: within.map(Refreshed::took_ms).collect(),
        beside_took: window.ended_at - window.begun_at,
    })
}

/// As the server purges, through the store alone.
async fn batches(plan: &Plan, population: &Population) -> Outcome<Vec<f64>> {
    let now = Clock::system().now();
    Rows::alone(&population.file)?.add_expired(plan.expired, population.sessions, now)?;
    let store = Store::open(&population.authority.settings.database)?;
    let took_ms = RefCell::new(Vec::new());
    with_rests(async || {
        let begun_at = Instant::now();
        let purged = store.write(move |tx| tx.purge_sessions(now - DAY, PURGE_BATCH)).await?;
        if purged > 0 {
            took_ms.borrow_mut().push(begun_at.elapsed().as_secs_f64() * 1000.0);
        }
        Outcome::Ok(purged)
    })
    .await?;
    Ok(took_ms.into_inner())
}

/// Refreshes from before the server begins until it is done.
async fn beside(
    plan: &Plan,
    server: &Server,
    population: &mut Population,
) -> Outcome<(Vec<Refreshed>, Window)> {
    let now = Clock::system().now();
    let mut rows = Rows::beside_server(&population.file)?;
    rows.add_expired_gently(plan.expired, population.sessions, now)?;
    let is_done = Cell::new(false);
    let watching = async {
        let window = watch(&mut rows, now - DAY).await;
        is_done.set(true);
        window
    };
    let tokens = &mut population.tokens;
    let refreshing = refresh_while(server.address, plan.connections, tokens, || !is_done.get());
    tokio::try_join!(refreshing, watching)
}

/// Rows go from the one that ended first to the last one that ended by `expired_by`.
async fn watch(rows: &mut Rows, expired_by: attesto_core::Instant) -> Outcome<Window> {
    let first_end = rows.first_end()?;
    let begun_at = passed(rows, first_end).await?;
    let ended_at = passed(rows, expired_by).await?;
    Ok(Window { begun_at, ended_at })
}

async fn passed(rows: &mut Rows, end: attesto_core::Instant) -> Outcome<Instant> {
    let begun_at = Instant::now();
    while begun_at.elapsed() < PATIENCE {
        if rows.first_end()? > end {
            return Ok(Instant::now());
        }
        sleep(LOOK).await;
    }
    Err("the server did not purge".into())
}

impl Window {
    /// It may have begun up to a look earlier.
    fn touches(&self, refresh: &Refreshed) -> bool {
        !self.follows(refresh) && refresh.sent_at <= self.ended_at
    }

    /// Whether a refresh was over before this.
    fn follows(&self, refresh: &Refreshed) -> bool {
        refresh.sent_at + refresh.took + LOOK < self.begun_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_is_beside_the_purge_if_any_of_it_is() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let window = Window { begun_at: at(1_000), ended_at: at(2_000) };
        for (sent_ms, took_ms, is_without, is_beside) in [
            (900, 79, true, false),
            (900, 80, false, true),
            (900, 2_000, false, true),
            (2_000, 1, false, true),
            (2_001, 1, false, false),
        ] {
            let refresh = Refreshed { sent_at: at(sent_ms), took: Duration::from_millis(took_ms) };
            let found = (window.follows(&refresh), window.touches(&refresh));
            assert_eq!(found, (is_without, is_beside), "{sent_ms} {took_ms}");
        }
    }
}
