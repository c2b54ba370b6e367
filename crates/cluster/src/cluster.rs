use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;

use rustix::process::Signal;

use crate::error::ClusterError;
use crate::programs::Programs;
use crate::server::{Server, until};
use crate::url::{self, USER};

/// For tests that do not ask what a crash leaves.
const QUICK: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "300"),
    ("shared_buffers", "64MB"),
];

/// Names the socket, where nothing listens on TCP.
const USUAL_PORT: u16 = 5432;

/// How a cluster differs from the quick one with a Unix socket only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// For `postgresql.conf`.
    pub settings: &'a [(&'a str, &'a str)],
    /// Files beside it, by name; settings can name them as they are. A certificate with its key, or a `pg_hba.conf` that
    /// does not trust everybody.
    pub files: &'a [(&'a str, &'a str)],
    /// Whether it also listens on a port of 127.0.0.1.
    pub tcp: bool,
}

/// A running PostgreSQL server with databases of its own.
///
/// Its superuser is `attesto`, and it trusts everybody who can reach it.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    server: Server,
    port: u16,
    tcp: bool,
}

impl Cluster {
    /// Makes a cluster and starts it. It is quick and forgets on a power cut, unless the settings say `fsync = on` and
    /// the like.
    pub fn start(programs: &Programs, settings: &[(&str, &str)]) -> Result<Self, ClusterError> {
        Self::start_with(programs, &Options { settings, ..Options::default() })
    }

    /// As [`start`](Self::start), with more to say.
    pub fn start_with(programs: &Programs, options: &Options<'_>) -> Result<Self, ClusterError> {
        let mut cluster = Self::prepare(programs, options.tcp)?;
        cluster.initialize()?;
        cluster.configure(options.settings)?;
        for (name, contents) in options.files {
            cluster.server.write(name, contents.as_bytes())?;
        }
        cluster.start_again()?;
        Ok(cluster)
    }

    /// A running copy that receives every change, and can be read. The name is what `synchronous_standby_names` knows.
    pub fn standby(&self, name: &str) -> Result<Self, ClusterError> {
        let mut standby = Self::prepare(&self.programs, false)?;
        let primary = format!("{}&application_name={name}", self.url("postgres"));
        let mut copy = standby.server.command(&self.programs.path("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--dbname").arg(primary).arg("--pgdata").arg(standby.server.data());
        Server::run(&mut copy)?;
        standby.start_again()?;
        Ok(standby)
    }

    fn prepare(programs: &Programs, tcp: bool) -> Result<Self, ClusterError> {
        let port = if tcp { free_port()? } else { USUAL_PORT };
        Ok(Self { programs: programs.clone(), server: Server::prepare()?, port, tcp })
    }

    fn initialize(&self) -> Result<(), ClusterError> {
        let mut initdb = self.server.command(&self.programs.path("initdb"));
        initdb.args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--no-instructions", "--pgdata"]).arg(self.server.data());
        Server::run(&mut initdb)
    }

    /// What the caller says comes last, and counts.
    fn configure(&self, settings: &[(&str, &str)]) -> Result<(), ClusterError> {
        let lines = QUICK.iter().chain(settings).map(|(name, value)| format!("{name} = {}\n", quoted(value)));
        self.server.write("postgresql.conf", lines.collect::<String>().as_bytes())
    }

    /// Where a database of this cluster is, for libpq.
    pub fn url(&self, database: &str) -> String {
        url::of_socket(self.folder(), self.port, database)
    }

    /// The same over TCP, if it listens there.
    pub fn tcp_url(&self, database: &str) -> Option<String> {
        self.tcp.then(|| url::of_loopback(self.port, database))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.server.folder()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        self.sql("postgres", &format!("CREATE DATABASE {}", identifier(name))).map(drop)
    }

    /// Removes a database, also from under those who are connected to it.
    pub fn drop_database(&self, name: &str) -> Result<(), ClusterError> {
        self.sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", identifier(name))).map(drop)
    }

    /// Runs statements, as [`Programs::sql`] does.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String, ClusterError> {
        self.programs.sql(&self.url(database), statements)
    }

    /// Commits from now on wait until this standby has them.
    ///
    /// A standby that is made later inherits this, and would wait for itself once it is promoted.
    pub fn synchronize_with(&self, standby: &str) -> Result<(), ClusterError> {
        let names = quoted(&identifier(standby));
        let set = format!(
            "ALTER SYSTEM SET synchronous_commit = on;
             ALTER SYSTEM SET synchronous_standby_names = {names};
             SELECT pg_reload_conf();"
        );
        self.sql("postgres", &set)?;
        let is_synchronous = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = {} AND sync_state = 'sync'",
            quoted(standby)
        );
        until("the standby is synchronous", || Ok(self.sql("postgres", &is_synchronous)? == "1\n"))
    }

    /// Makes a primary of a standby.
    pub fn promote(&mut self) -> Result<(), ClusterError> {
        match self.sql("postgres", "SELECT pg_promote(wait => true)")?.as_str() {
            "t\n" => Ok(()),
            _ => Err(ClusterError::InVain("the standby was promoted".to_owned())),
        }
    }

    /// Ends the server; who is connected is thrown out.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.server.end(Signal::INT)
    }

    /// Ends the server at once: it has to recover when it is started again.
    pub fn crash(&mut self) -> Result<(), ClusterError> {
        self.server.end(Signal::QUIT)
    }

    /// Kills the server with all its processes.
    pub fn kill9(&mut self) -> Result<(), ClusterError> {
        self.server.kill()
    }

    /// Starts the server after it has ended, at the same place.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        let mut postgres = self.server.command(&self.programs.path("postgres"));
        postgres.args(["-p", &self.port.to_string(), "-h", if self.tcp { "127.0.0.1" } else { "" }]);
        postgres.arg("-k").arg(self.folder()).arg("-D").arg(self.server.data());
        let status = self.server.data().join("postmaster.pid");
        self.server.start(&mut postgres, |child| says_ready(&status, child))
    }

    /// Stops every process of the server where it is: nobody gets an answer, and nobody is told.
    pub fn pause(&self) {
        self.server.signal_all(Signal::STOP);
    }

    /// Lets the server go on.
    pub fn resume(&self) {
        self.server.signal_all(Signal::CONT);
    }
}

/// The first line of the file is the server's process, the eighth its state. A server that was killed leaves the file.
fn says_ready(status: &Path, child: &Child) -> bool {
    let status = fs::read_to_string(status).unwrap_or_default();
    let mut lines = status.lines();
    lines.next() == Some(&child.id().to_string()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

/// Free a moment ago, at least.
fn free_port() -> Result<u16, ClusterError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(ClusterError::system("127.0.0.1"))?.port())
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
