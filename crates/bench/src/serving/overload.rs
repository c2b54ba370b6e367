//! More connections than the server lets in: what it still answers, and how soon it refuses the others.

use std::process::Stdio;
use std::time::{Duration, Instant};

use attesto_server::WAITING_PER_CORE;
use futures_util::future::try_join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::time::{sleep, sleep_until};

use super::asker::{Asked, Asker};
use super::load::{connect, milliseconds_since};
use super::scene::{attesto, authority, first_tokens};
use super::simplejwt::refreshing;
use super::{MOST, Plan};
use crate::cores::Cores;
use crate::server::Server;
use crate::stats::{Sample, real};
use crate::{Outcome, progress};

/// How many times as many as are let in.
const TIMES: [usize; 2] = [2, 5];

/// What the first second shows is how everybody arrives at once.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the server asks for in its `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Until the server has taken some new connections in: it has a queue of 128 for them.
const ACCEPTED: Duration = Duration::from_millis(20);

/// How often it is looked whether the asking side keeps up.
const LOOK: Duration = Duration::from_millis(5);

/// What clients do when they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manners {
    /// They wait as long as the answer says.
    Wait,
    /// They ask again at once, as nobody should.
    Insist,
}

/// One crowd.
pub struct Row {
    pub manners: Manners,
    pub connections: usize,
    /// Of the answers of a server that is not overrun, in each round.
    pub of_peak: Vec<f64>,
    /// In each round.
    pub answered_per_second: Vec<f64>,
    pub answered_ms: Vec<f64>,
    pub refused_ms: Vec<f64>,
    /// By how much the asking side itself was late to look at anything: as much of the rest may be its own.
    pub late_ms: Vec<f64>,
}

/// What one crowd got in a slice of time, in milliseconds each.
#[derive(Default)]
struct Slice {
    answered: Vec<f64>,
    refused: Vec<f64>,
    late: Vec<f64>,
}

/// Runs a server of its own, and asks it in turn with few connections and with too many.
pub async fn measure(plan: &Plan, cores: &Cores) -> Outcome<Vec<Row>> {
    raise_file_limit();
    let mut rows: Vec<_> = TIMES.iter().flat_map(|times| Row::both(times * WAITING_PER_CORE)).collect();
    let most = rows.iter().map(|row| row.connections).max().unwrap_or_default();
    progress(&format!("serving: signing in for {most} connections"));
    let authority = authority(plan, "overload", "").await?;
    let tokens = first_tokens(plan, &authority, most).await?;
    let mut command = attesto(plan, &authority);
    // It says of each whom it refuses that it did.
    command.stderr(Stdio::null());
    let server = cores.run(|| Server::spawn(command))?;
    let mut askers = refreshing(server.address, tokens);
    for round in 0..plan.overload_rounds {
        progress(&format!("serving: overload, round {round} of {}", plan.overload_rounds));
        let peak = Slice::of(&mut askers[..MOST], Manners::Wait, plan.overload_slice).await?;
        for row in &mut rows {
            let slice = Slice::of(&mut askers[..row.connections], row.manners, plan.overload_slice).await?;
            row.add(slice, peak.answered.len(), plan.overload_slice);
        }
    }
    server.stop()?;
    Ok(rows)
}

/// Each connection is an open file. Many systems set the limit low, and let it be raised.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused, it stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

impl Manners {
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "refused, they wait as told",
            Self::Insist => "refused, they insist",
        }
    }
}

impl Row {
    fn both(connections: usize) -> [Self; 2] {
        [Manners::Wait, Manners::Insist].map(|manners| Self {
            manners,
            connections,
            of_peak: Vec::new(),
            answered_per_second: Vec::new(),
            answered_ms: Vec::new(),
            refused_ms: Vec::new(),
            late_ms: Vec::new(),
        })
    }

    fn add(&mut self, slice: Slice, at_peak: usize, length: Duration) {
        let answered = real(slice.answered.len());
        self.of_peak.push(answered / real(at_peak.max(1)));
        self.answered_per_second.push(answered / length.as_secs_f64());
        self.answered_ms.extend(slice.answered);
        self.refused_ms.extend(slice.refused);
        self.late_ms.extend(slice.late);
    }

    /// The share of what was refused.
    pub fn refused(&self) -> f64 {
        real(self.refused_ms.len()) / real((self.refused_ms.len() + self.answered_ms.len()).max(1))
    }

    pub fn goodput(&self) -> f64 {
        Sample::new(self.of_peak.clone()).quantile(0.5)
    }
}

impl Slice {
    /// Everybody asks for as long as that, after the warm-up.
    async fn of(askers: &mut [Asker], manners: Manners, length: Duration) -> Outcome<Self> {
        for some in askers.chunks_mut(MOST) {
            connect(some).await?;
            sleep(ACCEPTED).await;
        }
        let begin = Instant::now() + WARM_UP;
        let end = begin + length;
        let all = try_join_all(askers.iter_mut().map(|asker| Self::of_one(asker, manners, begin, end)));
        let (slices, late) = tokio::join!(all, late_until(end));
        askers.iter_mut().for_each(Asker::disconnect);
        let (answered, refused): (Vec<_>, Vec<_>) =
            slices?.into_iter().map(|slice| (slice.answered, slice.refused)).unzip();
        Ok(Self { answered: answered.concat(), refused: refused.concat(), late })
    }

    async fn of_one(asker: &mut Asker, manners: Manners, begin: Instant, end: Instant) -> Outcome<Self> {
        let mut slice = Self::default();
        loop {
            let sent_at = Instant::now();
            if sent_at >= end {
                return Ok(slice);
            }
            let outcome = asker.ask_of_busy().await?;
            let took_ms = milliseconds_since(sent_at);
            if sent_at >= begin {
                slice.add(outcome, took_ms);
            }
            if outcome == Asked::Refused && manners == Manners::Wait {
                sleep_until(end.min(Instant::now() + RETRY_AFTER).into()).await;
            }
        }
    }

    fn add(&mut self, outcome: Asked, took_ms: f64) {
        match outcome {
            Asked::Answered => self.answered.push(took_ms),
            Asked::Refused => self.refused.push(took_ms),
        }
    }
}

/// How late this thread comes to what is due, until `end`.
async fn late_until(end: Instant) -> Vec<f64> {
    let mut late_ms = Vec::new();
    while Instant::now() < end {
        let due = Instant::now() + LOOK;
        sleep_until(due.into()).await;
        late_ms.push(milliseconds_since(due));
    }
    late_ms
}
