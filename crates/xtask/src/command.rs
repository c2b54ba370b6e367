//! Running other programs, and saying what to do when one fails.

use std::env;
use std::fmt::{self, Display};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Why the work stopped, and what a person can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: String,
    remedy: String,
}

impl Failure {
    pub(crate) fn new(cause: impl Display, remedy: impl Into<String>) -> Self {
        Self { cause: cause.to_string(), remedy: remedy.into() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

/// The cargo that runs us, as if called from a shell.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` describes this crate in the environment. Build scripts watch these variables, and would run again
    // for every change between `cargo xtask` and a plain `cargo`.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Runs a program to its end, its output shown as it comes.
pub(crate) fn run(command: &mut Command, remedy: &str) -> Result<(), Failure> {
    let status = command.status();
    judge(command, status, remedy)
}

/// What a program prints.
pub(crate) fn output_of(command: &mut Command, remedy: &str) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    let (status, stdout) = match output {
        Ok(output) => (Ok(output.status), output.stdout),
        Err(error) => (Err(error), Vec::new()),
    };
    judge(command, status, remedy)?;
    String::from_utf8(stdout).map_err(|error| Failure::new(error, remedy))
}

/// Runs a program to its end and hands over each line that it prints, as it comes.
pub(crate) fn for_each_line(
    command: &mut Command,
    remedy: &str,
    mut see: impl FnMut(&str),
) -> Result<(), Failure> {
    let status = command.stdout(Stdio::piped()).spawn().and_then(|mut child| {
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            see(&String::from_utf8_lossy(&line));
            line.clear();
        }
        child.wait()
    });
    judge(command, status, remedy)
}

fn judge(command: &Command, status: std::io::Result<ExitStatus>, remedy: &str) -> Result<(), Failure> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("`{}` ended with {status}", Shown(command)), remedy)),
        Err(error) => Err(Failure::new(format!("`{}` could not run ({error})", Shown(command)), remedy)),
    }
}

/// A command as one would type it.
struct Shown<'a>(&'a Command);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = Path::new(self.0.get_program());
        write!(f, "{}", program.file_name().unwrap_or(program.as_os_str()).display())?;
        self.0.get_args().try_for_each(|argument| write!(f, " {}", argument.display()))
    }
}
