//! Other programs, and how they end.

use std::env;
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process of ours, killed if the test forgets it or fails.
pub(crate) struct Process(pub(crate) Child);

/// What a program left: its exit code, and what it said.
pub(crate) struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// `attesto`, without any setting from the environment of the tests.
pub(crate) fn attesto() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attesto"));
    without_settings(&mut command).stdin(Stdio::null());
    command
}

/// Takes the settings of the environment of the tests away from a program.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ATTESTO_") {
            command.env_remove(name);
        }
    }
    command
}

/// The same program, of a shell that was told something before.
pub(crate) fn after(preparation: &str, command: &Command) -> Command {
    let script = format!("{preparation}; exec \"$@\"");
    through("sh", &["-c", &script, "sh"], command)
}

/// The same program, for which `folder` is a file system of so many bytes, with what was in the folder. Only it and whoever
/// goes through its `/proc/PID/root` see that. Needs user namespaces, as Debian has them.
pub(crate) fn on_a_small_disk(folder: &Path, bytes: u64, command: &Command) -> Command {
    let folder = folder.to_str().expect("UTF-8");
    let script = format!(
        "set -e; cp -a '{folder}' '{folder}.before'; mount -t tmpfs -o size={bytes},mode=0700 tmpfs '{folder}'; \
         cp -a '{folder}.before/.' '{folder}'; exec \"$@\""
    );
    let namespace = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
    through("unshare", &namespace, command)
}

/// The same program, ended by SIGINT. What a shell starts in the background ignores it, these tests and all that they
/// start, too.
pub(crate) fn interruptible(command: &Command) -> Command {
    through("env", &["--default-signal=INT"], command)
}

fn through(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut prepared = Command::new(program);
    prepared.args(arguments).arg(command.get_program());
    as_told(prepared, command)
}

/// The same command of another program.
pub(crate) fn by(program: &Path, command: &Command) -> Command {
    as_told(Command::new(program), command)
}

/// With arguments, environment and folder of another command.
fn as_told(mut prepared: Command, command: &Command) -> Command {
    prepared.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => prepared.env(name, value),
            None => prepared.env_remove(name),
        };
    }
    prepared.current_dir(command.get_current_dir().unwrap());
    prepared
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    // A program that was satisfied, or refused, before the end of its input has closed the pipe.
    let _ = child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// Asks again and again until there is an answer. For what happens soon, never for what takes its time.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

impl Process {
    /// Starts a server that says `listening on http://…`, or `https`, as soon as it does, with all the lines that came before. No
    /// address means that it ended instead.
    pub(crate) fn serve(command: &mut Command) -> (Self, Vec<String>, Option<SocketAddr>) {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
        let mut process = Self(child);
        let stdout = process.0.stdout.take().expect("standard output is a pipe");
        let mut said = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            let url = line.strip_prefix("listening on ").and_then(|url| url.split_once("://"));
            if let Some(("http" | "https", address)) = url {
                return (process, said, Some(address.parse().expect("an address")));
            }
            said.push(line);
        }
        (process, said, None)
    }

    /// `kill -9`: no destructor, no flush, no goodbye. Returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, as somebody at a terminal does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Says everything that it will ever hear on its standard input.
    pub(crate) fn write(&mut self, input: &str) {
        // A program that was satisfied, or refused, before the end of its input has closed the pipe.
        let _ = self.0.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
    }

    /// Waits for the end.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        until("the process ends", || self.0.try_wait().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Outcome {
    pub(crate) fn new(code: Option<i32>, stdout: String, stderr: String) -> Self {
        Self { code, stdout, stderr }
    }

    /// The output of a program that did what it was asked for, and had nothing to complain of.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:?}");
        self.stdout
    }

    /// The one line in which `attesto` says why it did not do what it was asked for.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert!(self.code == Some(code) && self.stdout.is_empty(), "{self:?}");
        let line = self.stderr.strip_prefix("attesto: ").and_then(|text| text.strip_suffix('\n'));
        match line {
            Some(line) if !line.contains('\n') => line.to_owned(),
            _ => panic!("not one line: {self:?}"),
        }
    }

    /// Exit code, standard output and standard error, whatever they are.
    pub(crate) fn any(self) -> (Option<i32>, String, String) {
        (self.code, self.stdout, self.stderr)
    }
}

impl From<Output> for Outcome {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("programs speak UTF-8");
        Self::new(status.code(), text(stdout), text(stderr))
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}
