//! A folder with an authority in it, and the program run on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Outcome, Process, attesto, run, without_settings};
use crate::server::{Credentials, Server};

/// The smallest configuration.
pub(crate) const CONFIGURATION: &str = r#"issuer = "http://127.0.0.1:9"
database = "sqlite:attesto.db"
key_encryption_keys = ["kek"]
simplejwt_audience = "orders"
shutdown_delay_interval = "0s"
"#;

/// Contents by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

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

    /// What an operator sets up: a folder that holds a configuration file, and nothing else yet.
    pub(crate) fn configured(configuration: &str) -> Self {
        let authority = Self::new("--config", "data/attesto.toml", &["serve"]);
        fs::create_dir(authority.data()).unwrap();
        authority.configure(configuration);
        authority
    }

    /// An authority that is configured by variables alone.
    pub(crate) fn of_variables<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let authority = Self { place: Vec::new(), ..Self::configured("") };
        fs::remove_file(authority.data().join("attesto.toml")).unwrap();
        variables.into_iter().fold(authority, |authority, (name, text)| authority.with(name, text))
    }

    fn new(option: &str, file: &str, serve: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = vec![option.to_owned(), folder.path().join(file).to_str().expect("UTF-8").to_owned()];
        Self { folder, place, serve, variables: Vec::new() }
    }

    /// The same with a setting from the environment, for all that is run from now on.
    pub(crate) fn with(mut self, variable: &str, text: &str) -> Self {
        self.variables.push((variable.to_owned(), text.to_owned()));
        self
    }

    /// The folder that everything of the authority lies in.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Every file in it by name, as it is at this moment, but for what SQLite builds anew by itself: the index of the
    /// write-ahead log, and the log while it is empty.
    pub(crate) fn files(&self) -> Files {
        let named = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), path);
        let mut files: Files = paths_in(&self.data())
            .into_iter()
            .map(named)
            .map(|(name, path)| (name, fs::read(path).unwrap()))
            .collect();
        files.retain(|name, content| {
            !(name.ends_with("-shm") || name.ends_with("-wal") && content.is_empty())
        });
        files
    }

    /// Fails if any file is not what it was.
    #[track_caller]
    pub(crate) fn assert_unchanged_since(&self, before: &Files) {
        let now = self.files();
        let differs = |name: &&String| before.get(*name) != now.get(*name);
        let changed: BTreeSet<_> = before.keys().chain(now.keys()).filter(differs).collect();
        assert!(changed.is_empty(), "changed: {changed:?}");
    }

    /// Runs statements on its database as only somebody with write access to the file can, by another program.
    pub(crate) fn sqlite(&self, statements: &str) {
        let program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())";
        let mut python = Command::new("python3");
        python.args(["-c", program]).arg(self.data().join("attesto.db"));
        run(&mut python, statements).done();
    }

    /// Moves what is in the write-ahead log into the database, which whoever opens it next would do otherwise.
    pub(crate) fn settle(&self) {
        // Refused, it says so in a row: a server may be at the same.
        let program = "import sqlite3, sys, time\n\
                       database = sqlite3.connect(sys.argv[1])\n\
                       for _ in range(300):\n  \
                         if database.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone()[0] == 0: sys.exit()\n  \
                         time.sleep(0.1)\n\
                       sys.exit('somebody reads for ever')";
        let mut python = Command::new("python3");
        run(python.args(["-c", program]).arg(self.data().join("attesto.db")), "").done();
    }

    /// One file in it.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.data().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.data().join("attesto.toml"), configuration).unwrap();
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

    /// Runs `init`, unless the server sets everything up by itself.
    #[track_caller]
    pub(crate) fn set_up(&self) {
        if !self.is_dev() {
            self.run_with(&["init"], &Credentials::first_user().lines()).done();
        }
    }

    /// Starts the server, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|outcome| panic!("the server does not start: {outcome:?}"))
    }

    /// Starts the server on a free port. `Err` is what a server said that ended instead of listening.
    pub(crate) fn try_start(&self) -> Result<Server, Outcome> {
        self.try_start_as(|command| command)
    }

    /// The same, started by whatever `prepare` makes of the command.
    pub(crate) fn try_start_as(&self, prepare: impl FnOnce(Command) -> Command) -> Result<Server, Outcome> {
        let before = fs::read_to_string(self.log_path()).unwrap_or_default().len();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command(self.serve);
        command.args(["--listen", "127.0.0.1:0"]);
        let (mut process, said, address) = Process::serve(prepare(command).stderr(log));
        let Some(address) = address else {
            let status = process.exit();
            return Err(Outcome::new(status.code(), said.concat(), self.log()[before..].to_owned()));
        };
        Ok(Server { process, address, said, credentials: self.credentials() })
    }

    fn credentials(&self) -> Credentials {
        if !self.is_dev() {
            return Credentials::first_user();
        }
        let file = self.dev_file();
        let text = |name: &str| file[name].as_str().unwrap().to_owned();
        Credentials { username: text("username"), password: text("password") }
    }

    fn is_dev(&self) -> bool {
        self.serve.contains(&"--dev")
    }

    /// A command that is still to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = attesto();
        command.args(arguments).args(&self.place).envs(self.variables.iter().cloned());
        command.current_dir(self.folder.path());
        command
    }

    /// Gives another program the settings from the environment that commands get, and no others.
    pub(crate) fn environment(&self, command: &mut Command) {
        without_settings(command).envs(self.variables.iter().cloned());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Everything in a folder.
pub(crate) fn paths_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
