use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::authority::Authority;
use crate::load::sign_in;
use crate::server::Server;
use crate::stats::{Sample, real};
use crate::table::verdict;
use crate::{Outcome, progress};

/// All who wait know of a revocation within this.
const ANSWERED_GOAL_MS: f64 = 500.0;
/// What they may cost in memory.
const MEMORY_GOAL_MIB: f64 = 64.0;
/// What half of them may cost while nothing happens, in percent of a core.
const IDLE_GOAL_PERCENT: f64 = 2.0;

const WAITERS: usize = 2_000;
const IDLE_WAITERS: usize = 1_000;

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    idle_waiters: usize,
    idle_seconds: u64,
    /// Of a core, without anybody who waits.
    unasked_percent: f64,
    /// Of a core, with them.
    idle_percent: f64,
    idle_goal_percent: f64,
    meets_idle_goal: bool,
    waiters: usize,
    revocations: u16,
    /// From the answer to the one who revoked until each waiter has his.
    answered_p50_ms: f64,
    answered_p99_ms: f64,
    answered_max_ms: f64,
    answered_goal_ms: f64,
    meets_answered_goal: bool,
    /// The most that was held above what an idle server holds.
    memory_mib: f64,
    memory_goal_mib: f64,
    meets_memory_goal: bool,
}

/// Lets many wait, for nothing and for revocations. Server and waiters share all cores.
pub async fn measure(program: &Path, quick: bool) -> Outcome<Report> {
    let (idle_seconds, revocations) = if quick { (5, 3) } else { (50, 20) };
    progress("feed: setting up an authority");
    let authority = Authority::set_up("shutdown_delay_interval = \"0s\"\n").await?;
    let server = Server::start(program, &authority.config)?;
    let signed_in = sign_in(server.address, revocations).await?;
    sleep(Duration::from_secs(2)).await;
    let memory_before = server.memory()?;

    let unasked_percent = busy(&server, idle_seconds).await?;
    progress(&format!("feed: {IDLE_WAITERS} wait {idle_seconds} s for nothing"));
    let mut crowd = Crowd::gather(server.address, IDLE_WAITERS).await?;
    let idle_percent = busy(&server, idle_seconds).await?;

    progress(&format!("feed: {WAITERS} wait for {revocations} revocations"));
    crowd.grow(server.address, WAITERS).await?;
    let (mut answered, mut memory): (_, f64) = (Vec::new(), server.memory()?);
    for client in signed_in {
        // So that nobody is on his way back from the last one.
        sleep(Duration::from_millis(700)).await;
        crowd.forget();
        client.sign_out().await?;
        let revoked_at = Instant::now();
        answered.extend(crowd.answers(WAITERS, revoked_at).await?);
        memory = memory.max(server.memory()?);
    }
    drop(crowd);
    server.stop()?;
    let answered = Sample::new(answered);
    let (idle_cost, memory_mib) = (idle_percent - unasked_percent, memory - memory_before);
    Ok(Report {
        idle_waiters: IDLE_WAITERS,
        idle_seconds,
        unasked_percent,
        idle_percent,
        idle_goal_percent: IDLE_GOAL_PERCENT,
        meets_idle_goal: idle_cost <= IDLE_GOAL_PERCENT,
        waiters: WAITERS,
        revocations,
        answered_p50_ms: answered.quantile(0.5),
        answered_p99_ms: answered.quantile(0.99),
        answered_max_ms: answered.max(),
        answered_goal_ms: ANSWERED_GOAL_MS,
        meets_answered_goal: answered.max() <= ANSWERED_GOAL_MS,
        memory_mib,
        memory_goal_mib: MEMORY_GOAL_MIB,
        meets_memory_goal: memory_mib <= MEMORY_GOAL_MIB,
    })
}

/// How busy the server keeps a core, in percent.
async fn busy(server: &Server, seconds: u64) -> Outcome<f64> {
    let (before, begun_at) = (server.processor_time()?, Instant::now());
    sleep(Duration::from_secs(seconds)).await;
    let spent = server.processor_time()?.saturating_sub(before);
    Ok(100.0 * spent.as_secs_f64() / begun_at.elapsed().as_secs_f64())
}

/// Those who wait, and come back as soon as they are answered.
struct Crowd {
    tasks: JoinSet<()>,
    tell: UnboundedSender<Instant>,
    told: UnboundedReceiver<Instant>,
}

impl Crowd {
    async fn gather(address: SocketAddr, count: usize) -> Outcome<Self> {
        let (tell, told) = unbounded_channel();
        let mut crowd = Self { tasks: JoinSet::new(), tell, told };
        crowd.grow(address, count).await?;
        Ok(crowd)
    }

    /// Spread over a second, as in life: they do not all time out together.
    async fn grow(&mut self, address: SocketAddr, count: usize) -> Outcome<()> {
        while self.tasks.len() < count {
            let waiter = Waiter::connect(address).await?;
            self.tasks.spawn(waiter.follow(self.tell.clone()));
            if self.tasks.len().is_multiple_of(20) {
                sleep(Duration::from_millis(10)).await;
            }
        }
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    fn forget(&mut self) {
        while self.told.try_recv().is_ok() {}
    }

    /// When each of them had an answer with news, in milliseconds after `since`.
    async fn answers(&mut self, count: usize, since: Instant) -> Outcome<Vec<f64>> {
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let told = timeout(Duration::from_secs(20), self.told.recv()).await;
            let at = told.map_err(|_| format!("{} of {count} were answered within 20 s", answers.len()))?;
            answers.push(
                at.ok_or("nobody waits any more")?.saturating_duration_since(since).as_secs_f64() * 1000.0,
            );
        }
        Ok(answers)
    }
}

/// A consumer of the feed that looks at positions only: the cost of checking is not the server's.
struct Waiter {
    stream: TcpStream,
    seq: u64,
}

impl Waiter {
    async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, seq: 0 })
    }

    /// Polls until the server stops.
    async fn follow(mut self, tell: UnboundedSender<Instant>) {
        while let Ok(seq) = self.poll().await {
            if std::mem::replace(&mut self.seq, seq) != seq && tell.send(Instant::now()).is_err() {
                return;
            }
        }
    }

    async fn poll(&mut self) -> Outcome<u64> {
        let request = format!("GET /revocations?after={}&wait=25 HTTP/1.1\r\nhost: a\r\n\r\n", self.seq);
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(2048);
        while !is_complete(&answer) {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err("the server hung up".into());
            }
        }
        position(&answer).ok_or_else(|| "no answer of the feed".into())
    }
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn position(answer: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(answer);
    let payload = text.split_once("\r\n\r\n")?.1.split('.').nth(1)?;
    let claims: serde_json::Value =
        serde_json::from_slice(&attesto_token::base64url_decode(payload)?).ok()?;
    claims["seq"].as_u64()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Feed: {} polls wait for {} s and cost {:.2} % of a core, and {:.2} % is spent without them; goal {} %: {}",
            self.idle_waiters,
            self.idle_seconds,
            self.idle_percent - self.unasked_percent,
            self.unasked_percent,
            self.idle_goal_percent,
            verdict(self.meets_idle_goal)
        )?;
        writeln!(
            f,
            "Feed: {} polls wait; {} revocations reach them {:.0} ms (median), {:.0} ms (p99), {:.0} ms (last) after the \
             answer to who revoked; goal {} ms: {}",
            self.waiters,
            self.revocations,
            self.answered_p50_ms,
            self.answered_p99_ms,
            self.answered_max_ms,
            self.answered_goal_ms,
            verdict(self.meets_answered_goal)
        )?;
        write!(
            f,
            "Feed: they hold {:.1} MiB, {:.1} KiB each; goal {} MiB: {}",
            self.memory_mib,
            self.memory_mib * 1024.0 / real(self.waiters),
            self.memory_goal_mib,
            verdict(self.meets_memory_goal)
        )
    }
}
