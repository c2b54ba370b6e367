use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// A running server, killed when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts `attesto serve` on a free port, on the cores of the calling thread, and waits until it listens.
    pub fn start(program: &Path, config: &Path) -> Outcome<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        Self::spawn(command)
    }

    /// Starts any program that says `listening on http://ADDRESS`.
    pub fn spawn(mut command: Command) -> Outcome<Self> {
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ATTESTO_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|cause| {
            let program = command.get_program().display();
            format!("{program} cannot be started ({cause}); build it, or name it with --attesto")
        })?;
        let stdout = child.stdout.take().ok_or("standard output is a pipe")?;
        // From here on, whatever goes wrong ends the server.
        let mut server = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), child };
        let mut lines = BufReader::new(stdout).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("listening on http://")?.parse().ok());
        server.address = address.ok_or("the server ended before it listened; see above")?;
        Ok(server)
    }

    /// What it holds in memory at this moment, in MiB (RSS).
    pub fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Ok(kib
            .map(|kib: f64| kib / 1024.0)
            .ok_or("the kernel does not say how much memory the server holds")?)
    }

    /// What it and the processes that it started hold in memory at this moment, in MiB, each page divided by those who
    /// share it (PSS). `None` where the kernel lets nobody look: a server that guards its keys shows this to root only.
    pub fn proportional_memory(&self) -> Option<f64> {
        let mut kib = 0.0;
        for process in self.family() {
            let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            kib += pss.split_whitespace().next()?.parse::<f64>().ok()?;
        }
        Some(kib / 1024.0)
    }

    /// How long it and the processes that it started have kept a core busy so far.
    pub fn processor_time(&self) -> Outcome<Duration> {
        self.family().into_iter().map(processor_time).sum()
    }

    /// It, and the processes that it started.
    fn family(&self) -> Vec<u32> {
        let children = fs::read_to_string(self.proc(&format!("task/{}/children", self.child.id())));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(self.child.id()).chain(children).collect()
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// Ends it as a service manager does.
    pub fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}; see above").into()),
                None => sleep(Duration::from_millis(20)),
            }
        }
        Err("the server did not stop within 30 s".into())
    }
}

fn processor_time(process: u32) -> Outcome<Duration> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it stands in parentheses, and may hold anything.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).ok_or("the kernel does not say how long the server ran")?;
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
