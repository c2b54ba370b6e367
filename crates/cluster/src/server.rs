//! A server program in a folder of its own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::error::ClusterError;
use crate::programs;

const PATIENCE: Duration = Duration::from_secs(60);

/// The user and group `nobody`.
const NOBODY: u32 = 65534;

/// Waits until its standard input ends, which it does when the process at the other end is gone, however that went. Then
/// it ends whatever runs in the folder, and removes it. A stopped process needs two signals.
const KEEPER: &str = r#"
cat
signal=QUIT
tries=0
while
    alive=
    for cwd in /proc/[0-9]*/cwd; do
        [ "$cwd" -ef "$0/data" ] || continue
        alive=yes
        process=${cwd#/proc/}
        kill -"$signal" "${process%/cwd}"
        kill -CONT "${process%/cwd}"
    done
    [ "$alive" ]
do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || signal=KILL
    sleep 0.05
done
rm -rf "$0"
"#;

#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    keeper: Child,
    running: Option<Child>,
}

impl Server {
    /// Its folder, with an empty `data` in it.
    pub(crate) fn prepare() -> Result<Self, ClusterError> {
        // The path of a Unix socket has at most 107 bytes.
        let folder = tempfile::Builder::new().prefix("attesto-pg-").tempdir_in("/tmp");
        let folder = folder.map_err(ClusterError::system("a folder in /tmp"))?;
        let data = folder.path().join("data");
        fs::create_dir(&data).map_err(ClusterError::system(data.display()))?;
        restrict(&data, 0o700)?;
        give_away(&data)?;
        give_away(folder.path())?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).arg(folder.path()).current_dir("/").stdin(Stdio::piped());
        // Whoever ends us with a signal for the whole group needs it most.
        let keeper = unprivileged(&mut keeper).process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = keeper.spawn().map_err(ClusterError::system("sh"))?;
        Ok(Self { folder: folder.keep(), keeper, running: None })
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it runs.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes a file for the server alone.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> Result<(), ClusterError> {
        let path = self.data().join(name);
        fs::write(&path, contents).map_err(ClusterError::system(path.display()))?;
        restrict(&path, 0o600)?;
        give_away(&path)
    }

    /// A program that works in its folder.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = programs::command(program);
        unprivileged(&mut command).current_dir(self.data()).stdin(Stdio::null());
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run(command: &mut Command) -> Result<(), ClusterError> {
        let output = command.output().map_err(|cause| not_run(command, cause))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ClusterError::Failed { program: name(command), said })
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(
        &mut self,
        command: &mut Command,
        is_ready: impl Fn(&Child) -> bool,
    ) -> Result<(), ClusterError> {
        assert!(self.running.is_none(), "it was started and never ended");
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(ClusterError::system(self.log().display()))?;
        let as_well = log.try_clone().map_err(ClusterError::system(self.log().display()))?;
        // A signal for our group does not take it away from under the tests.
        command.process_group(0).stdout(log).stderr(as_well);
        let mut child = command.spawn().map_err(|cause| not_run(command, cause))?;
        let deadline = Instant::now() + PATIENCE;
        let happened = loop {
            if is_ready(&child) {
                self.running = Some(child);
                return Ok(());
            }
            if child.try_wait().map_err(ClusterError::system(name(command)))?.is_some() {
                break "ended at once";
            }
            if Instant::now() > deadline {
                break "did not answer in time";
            }
            sleep(Duration::from_millis(10));
        };
        // Nothing comes of it if it has ended.
        let _ = child.kill().and_then(|()| child.wait());
        Err(ClusterError::NoAnswer { server: name(command), happened, log: self.end_of_log() })
    }

    /// Tells the server to end, and waits until it has.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<(), ClusterError> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        let told = kill_process(Pid::from_child(&child), signal);
        told.map_err(|cause| ClusterError::System { what: "kill".into(), cause: cause.into() })?;
        self.signal_all(Signal::CONT);
        child.wait().map_err(ClusterError::system("wait"))?;
        Ok(())
    }

    /// Kills the server with all its processes, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> Result<(), ClusterError> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        child.kill().and_then(|()| child.wait()).map_err(ClusterError::system("kill"))?;
        until("every process of the server is gone", || {
            self.signal_all(Signal::KILL);
            Ok(self.processes().is_empty())
        })
    }

    /// To each of its processes. The server itself is the first: it starts no others while it is stopped.
    pub(crate) fn signal_all(&self, signal: Signal) {
        let server = self.running.iter().map(Pid::from_child);
        for process in server.chain(self.processes()) {
            // One that has ended in the meantime is no loss.
            let _ = kill_process(process, signal);
        }
    }

    /// Nobody else runs in its folder.
    fn processes(&self) -> Vec<Pid> {
        let data = self.data();
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ours =
            all.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data));
        ours.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The keeper does what it would do without us.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if let Some(child) = &mut self.running {
            let _ = child.wait();
        }
    }
}

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> Result<bool, ClusterError>) -> Result<(), ClusterError> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > deadline {
            return Err(ClusterError::InVain(what.to_owned()));
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn is_root() -> bool {
    geteuid().is_root()
}

fn unprivileged(command: &mut Command) -> &mut Command {
    if is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

fn give_away(path: &Path) -> Result<(), ClusterError> {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).map_err(ClusterError::system(path.display()))?;
    }
    Ok(())
}

fn restrict(path: &Path, mode: u32) -> Result<(), ClusterError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(ClusterError::system(path.display()))
}

fn not_run(command: &Command, cause: io::Error) -> ClusterError {
    let program = command.get_program().display().to_string();
    if is_root() && cause.kind() == io::ErrorKind::PermissionDenied {
        return ClusterError::NotForNobody { program };
    }
    ClusterError::System { what: program, cause }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).display().to_string()
}
