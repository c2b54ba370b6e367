//! A folder with an authority in it, and the program run on it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Outcome, Process, attesto, run};
use crate::server::{Credentials, Server};

/// An authority on disk. Its server may run or not.
pub(crate) struct Authority {
    folder: TempDir,
    /// How commands are told of it.
    place: Vec<String>,
    /// How its server is started.
    serve: &'static [&'static str],
    variables: Vec<(String, String)>,
}

impl Authority {
    /// What `serve --dev` works on. Nothing is there before the first start.
    pub(crate) fn dev() -> Self {
        Self::new("--data", "data", &["serve", "--dev"])
    }

    fn new(option: &str, file: &str, serve: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = vec![option.to_owned(), folder.path().join(file).to_str().expect("UTF-8").to_owned()];
        Self { folder, place, serve, variables: Vec::new() }
    }

    /// The folder that everything of the authority lies in.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One file in it.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.data().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    /// `dev.json`.
    pub(crate) fn dev_file(&self) -> Value {
        serde_json::from_slice(&self.file("dev.json")).unwrap()
    }

    /// All that its servers have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs a command to its end, with something on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        run(&mut self.command(arguments), input)
    }

    /// What a command says to programs.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.run(&[arguments, &["--json"]].concat()).done();
        serde_json::from_str(&printed).unwrap()
    }

    /// Starts the server, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|outcome| panic!("the server does not start: {outcome:?}"))
    }

    /// Starts the server on a free port. `Err` is what a server said that ended instead of listening.
    pub(crate) fn try_start(&self) -> Result<Server, Outcome> {
        let before = fs::read_to_string(self.log_path()).unwrap_or_default().len();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command(self.serve);
        command.args(["--listen", "127.0.0.1:0"]).stderr(log);
        let (mut process, said, address) = Process::serve(&mut command);
        let Some(address) = address else {
            let status = process.exit();
            return Err(Outcome::new(status.code(), said.concat(), self.log()[before..].to_owned()));
        };
        Ok(Server { process, address, credentials: self.credentials() })
    }

    fn credentials(&self) -> Credentials {
        if !self.serve.contains(&"--dev") {
            return Credentials::first_user();
        }
        let file = self.dev_file();
        let text = |name: &str| file[name].as_str().unwrap().to_owned();
        Credentials { username: text("username"), password: text("password") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = attesto();
        command.args(arguments).args(&self.place).envs(self.variables.iter().cloned());
        command.current_dir(self.folder.path());
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}
