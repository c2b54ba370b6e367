//! Refreshes while the keys of the server rotate.
//!
//! A real server on cores of its own, its schedule in seconds: it makes, promotes, retires and erases keys by itself,
//! while as many clients as are told refresh without a pause from another core.

mod windows;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use attesto_core::Instant;
use attesto_keyring::RsaBits;
use attesto_server::Clock;
use attesto_store::Store;
use serde::Serialize;

use crate::authority::Authority;
use crate::cores::Cores;
use crate::load::{self, Refresh};
use crate::rotation::windows::Windows;
use crate::server::Server;
use crate::stats::{Sample, Summary, real};
use crate::table::{table, verdict};
use crate::{Outcome, progress};

/// No rotation adds a request that takes longer.
const GOAL_MS: f64 = 100.0;

/// What to measure, and for how long.
pub struct Plan {
    program: PathBuf,
    connections: u16,
    rsa_key_bits: RsaBits,
    warm_up: Duration,
    /// From one rotation to the next.
    interval: Duration,
    rotations: u32,
}

impl Plan {
    /// A run of the server `program`. Larger keys take longer to make: their rotations lie further apart.
    pub fn new(program: PathBuf, connections: u16, rsa_key_bits: RsaBits, quick: bool) -> Self {
        let interval = match rsa_key_bits {
            RsaBits::B2048 => 12,
            RsaBits::B3072 => 16,
            RsaBits::B4096 => 24,
        };
        let (warm_up, rotations) = if quick { (2, 2) } else { (5, 10) };
        Self {
            program,
            connections,
            rsa_key_bits,
            warm_up: Duration::from_secs(warm_up),
            interval: Duration::from_secs(interval),
            rotations,
        }
    }

    /// Guards in seconds. Access tokens live for one, so that keys also leave within the run.
    fn settings(&self) -> String {
        format!(
            "allow_short_intervals = true\nkey_rotation_interval = \"{}s\"\nkey_stage_interval = \"0s\"\n\
             key_confirmation_interval = \"2s\"\njwks_max_age = \"1s\"\njwks_stale_while_revalidate = \"0s\"\n\
             verifier_refresh_interval = \"0s\"\nverifier_cache_interval = \"0s\"\nverifier_skew_interval = \"0s\"\n\
             access_token_lifetime = \"1s\"\nshutdown_delay_interval = \"0s\"\nrsa_key_bits = {}\n",
            self.interval.as_secs(),
            self.rsa_key_bits,
        )
    }

    fn length(&self) -> Duration {
        self.interval * self.rotations
    }
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    connections: u16,
    rsa_key_bits: String,
    server_cores: usize,
    seconds: u64,
    rotations: usize,
    /// From when a rotation was due: up to a second until the schedule looks, then the making of a key.
    rotation_took_seconds: Summary,
    failed: usize,
    quiet: Latencies,
    rotating: Latencies,
    /// Part of `rotating`.
    making: Latencies,
    goal_ms: f64,
    /// Slow requests while keys moved, beyond as many as there would have been in quiet.
    added_slow_requests: f64,
    meets_goal: bool,
}

#[derive(Serialize)]
struct Latencies {
    seconds: f64,
    requests: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Over the goal's limit.
    slow: usize,
}

/// Runs a server under load through several rotations.
pub fn measure(plan: &Plan) -> Outcome<Report> {
    let (load_core, server_cores) = Cores::allowed()?.split_last();
    progress("rotation: setting up an authority");
    let authority = attesto_server::block_on(Authority::set_up(&plan.settings()))?;
    let server = server_cores.run(|| Server::start(&plan.program, &authority.config))?;
    let run = load_core.run(|| attesto_server::block_on(drive(plan, &server, &authority)));
    server.stop()?;
    let Run { begun_at, ended_at, refreshes, windows } = run?;

    let (during, quiet): (Vec<_>, Vec<_>) =
        refreshes.iter().partition(|refresh| windows.moving.touch(refresh.sent_at, refresh.took));
    let making = refreshes.iter().filter(|refresh| windows.making.touch(refresh.sent_at, refresh.took));
    let quiet_time = ended_at.since(begun_at).saturating_sub(windows.moving.length());
    let (quiet, rotating) =
        (Latencies::of(&quiet, quiet_time), Latencies::of(&during, windows.moving.length()));
    let added_slow_requests = added(&quiet, &rotating);
    Ok(Report {
        connections: plan.connections,
        rsa_key_bits: plan.rsa_key_bits.to_string(),
        server_cores: server_cores.count(),
        seconds: ended_at.since(begun_at).as_secs(),
        rotations: windows.rotations.len(),
        rotation_took_seconds: Sample::new(windows.rotations.clone()).summary(),
        failed: refreshes.iter().filter(|refresh| refresh.failed).count(),
        quiet,
        rotating,
        making: Latencies::of(&making.collect::<Vec<_>>(), windows.making.length()),
        goal_ms: GOAL_MS,
        added_slow_requests,
        meets_goal: added_slow_requests <= 0.0,
    })
}

struct Run {
    begun_at: Instant,
    ended_at: Instant,
    refreshes: Vec<Refresh>,
    windows: Windows,
}

async fn drive(plan: &Plan, server: &Server, authority: &Authority) -> Outcome<Run> {
    let clock = Clock::system();
    progress(&format!("rotation: signing in {} clients", plan.connections));
    let clients = load::sign_in(server.address, plan.connections).await?;
    let begun_at = clock.now() + plan.warm_up;
    let ended_at = begun_at + plan.length();
    progress(&format!("rotation: refreshing for {} s", (plan.warm_up + plan.length()).as_secs()));
    let mut refreshes = load::refresh_until(clients, ended_at, &clock).await?;
    refreshes.retain(|refresh| refresh.sent_at >= begun_at);

    let store = Store::open(&authority.settings.database)?;
    let table = store.read(|tx| tx.find_key_table()).await?;
    let windows = Windows::of(&table, &authority.settings.keys, begun_at, ended_at);
    if windows.rotations.is_empty() {
        return Err("no key was rotated in the run".into());
    }
    Ok(Run { begun_at, ended_at, refreshes, windows })
}

/// As many slow requests more as the quiet ones of the same run do not explain.
fn added(quiet: &Latencies, rotating: &Latencies) -> f64 {
    let share = if quiet.requests == 0 { 0.0 } else { real(quiet.slow) / real(quiet.requests) };
    (real(rotating.slow) - share * real(rotating.requests)).max(0.0)
}

impl Latencies {
    fn of(refreshes: &[&Refresh], time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let sample =
            Sample::new(refreshes.iter().map(|refresh| refresh.took.as_secs_f64() * 1000.0).collect());
        Self {
            seconds,
            requests: sample.len(),
            per_second: real(sample.len()) / seconds,
            p50_ms: sample.quantile(0.5),
            p99_ms: sample.quantile(0.99),
            max_ms: sample.max(),
            slow: sample.above(GOAL_MS),
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            format!("{:.1}", self.seconds),
            self.requests.to_string(),
            format!("{:.0}", self.per_second),
            format!("{:.1}", self.p50_ms),
            format!("{:.1}", self.p99_ms),
            format!("{:.1}", self.max_ms),
            self.slow.to_string(),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.rotation_took_seconds;
        writeln!(
            f,
            "Rotation: {} connections refresh for {} s, the server on {} core(s), keys of {} bits; {} rotations, each \
             written {:.1} s after it was due ({:.1}–{:.1}); {} requests failed",
            self.connections,
            self.seconds,
            self.server_cores,
            self.rsa_key_bits,
            self.rotations,
            took.median,
            took.lower_quartile,
            took.upper_quartile,
            self.failed,
        )?;
        let slow = format!("over {} ms", self.goal_ms);
        let header = ["keys", "s", "requests", "per s", "p50 ms", "p99 ms", "max ms", &slow];
        writeln!(
            f,
            "{}",
            table(
                &header,
                [
                    self.quiet.row("stand still"),
                    self.rotating.row("move"),
                    self.making.row("one is being made")
                ]
            )
        )?;
        let verdict = verdict(self.meets_goal);
        write!(f, "Slow requests that rotations added: {:.1}; goal none: {verdict}", self.added_slow_requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(requests: usize, slow: usize) -> Latencies {
        let sample = (0..requests).map(|at| Refresh {
            sent_at: Instant::from_millis(0),
            took: Duration::from_millis(if at < slow { 101 } else { 100 }),
            failed: false,
        });
        let refreshes: Vec<_> = sample.collect();
        Latencies::of(&refreshes.iter().collect::<Vec<_>>(), Duration::from_secs(10))
    }

    #[test]
    fn slow_requests_count_beyond_the_share_of_the_quiet_ones() {
        let table = [
            ((1000, 0), (500, 0), 0.0),
            ((1000, 0), (500, 1), 1.0),
            ((1000, 4), (500, 2), 0.0),
            ((1000, 4), (500, 1), 0.0),
            ((1000, 4), (500, 5), 3.0),
            ((0, 0), (500, 5), 5.0),
        ];
        for (quiet, rotating, expected) in table {
            let got = added(&latencies(quiet.0, quiet.1), &latencies(rotating.0, rotating.1));
            assert!((got - expected).abs() < 1e-9, "{quiet:?} {rotating:?}: {got}");
        }
    }

    #[test]
    fn rates_and_quantiles_are_of_the_window() {
        let latencies = latencies(100, 2);
        assert_eq!(latencies.slow, 2);
        assert!((latencies.per_second - 10.0).abs() < 1e-9);
        assert!((latencies.p50_ms - 100.0).abs() < 1e-9 && (latencies.max_ms - 101.0).abs() < 1e-9);
    }

    #[test]
    fn the_settings_of_a_run_are_accepted() {
        for bits in [RsaBits::B2048, RsaBits::B3072, RsaBits::B4096] {
            let plan = Plan::new(PathBuf::new(), 1, bits, true);
            let authority =
                attesto_server::block_on(Authority::set_up(&plan.settings().replace("4096", "2048")));
            assert_eq!(authority.unwrap().settings.keys.rotation_interval, plan.interval);
        }
    }
}
