use std::env;
use std::process::{self, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::programs::{Programs, command};

const VARIABLE: &str = "ATTESTO_TEST_POSTGRES";

/// A database of one's own in a cluster that all tests use. It goes with this value.
pub struct Scratch {
    name: String,
    programs: Programs,
}

impl Scratch {
    /// An empty one, in the cluster that `ATTESTO_TEST_POSTGRES` leads to, or else in one that this process starts.
    pub fn new() -> Result<Self, ClusterError> {
        Self::made("")
    }

    /// Another with the same content. Nobody may have this one open.
    pub fn copy(&self) -> Result<Self, ClusterError> {
        const ATTEMPTS: u32 = 100;
        let template = format!("TEMPLATE {}", self.name);
        for _ in 1..ATTEMPTS {
            match Self::made(&template) {
                // Whoever had it open is closing it on a thread of his own.
                Err(ClusterError::Failed { said, .. }) if said.contains("being accessed") => {
                    sleep(Duration::from_millis(50));
                }
                outcome => return outcome,
            }
        }
        Self::made(&template)
    }

    /// As libpq and Attesto take it.
    pub fn url(&self) -> String {
        of_database(&self.name)
    }

    /// Runs statements in it, as [`Programs::sql`] does.
    pub fn sql(&self, statements: &str) -> Result<String, ClusterError> {
        self.programs.sql(&self.url(), statements)
    }

    /// All that is in it, as text.
    pub fn dump(&self) -> Result<String, ClusterError> {
        let mut dump = command(&self.programs.path("pg_dump"));
        dump.args(["--no-owner", "--dbname", &self.url()]).stdin(Stdio::null());
        let output = dump.output().map_err(ClusterError::system("pg_dump"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ClusterError::Failed { program: "pg_dump".to_owned(), said });
        }
        // Newer versions begin and end with a word that differs each time.
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split_inclusive('\n').filter(|line| !line.starts_with('\\')).collect())
    }

    fn made(like: &str) -> Result<Self, ClusterError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("scratch_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let programs = Programs::find()?;
        start_if_needed(&programs)?;
        programs.sql(&of_database("postgres"), &format!("CREATE DATABASE {name} {like}"))?;
        Ok(Self { name, programs })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The cluster may be gone already, and the database with it.
        let _ = self.programs.sql(&of_database("postgres"), &drop);
    }
}

/// For tests that are run by themselves.
static OURS: OnceLock<Cluster> = OnceLock::new();

fn start_if_needed(programs: &Programs) -> Result<(), ClusterError> {
    if env::var_os(VARIABLE).is_none() && OURS.get().is_none() {
        // Of two that are started at once, the one that comes late ends again.
        let _ = OURS.set(Cluster::start(programs, &[])?);
    }
    Ok(())
}

fn of_database(name: &str) -> String {
    let postgres = env::var(VARIABLE).unwrap_or_else(|_| OURS.get().expect("it runs").url("postgres"));
    postgres.replacen("/postgres?", &format!("/{name}?"), 1)
}
