use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::ClusterError;

const VARIABLE: &str = "ATTESTO_TEST_POSTGRES_BIN";
const OLDEST: u32 = 15;

/// Where Debian has a folder for each version.
const OF_THE_SYSTEM: &str = "/usr/lib/postgresql";

/// The folder with `initdb`, `postgres`, `pg_basebackup` and `psql`.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// In a folder that the caller knows.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// In the folder that `ATTESTO_TEST_POSTGRES_BIN` names, or else the newest that the system has.
    pub fn find() -> Result<Self, ClusterError> {
        let named = env::var_os(VARIABLE).map(|folder| Self(folder.into()));
        named
            .or_else(|| Self::newest_under(Path::new(OF_THE_SYSTEM)))
            .ok_or(ClusterError::NoPostgres { oldest: OLDEST, variable: VARIABLE })
    }

    /// The newest of some versions, in folders named after them. One without a server does not count, nor one that is
    /// too old.
    pub fn newest_under(folder: &Path) -> Option<Self> {
        let versions = fs::read_dir(folder).ok()?.flatten();
        let usable = versions.filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let folder = version.path().join("bin");
            (number >= OLDEST && folder.join("initdb").exists()).then_some((number, folder))
        });
        usable.max().map(|(_, folder)| Self(folder))
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Runs statements with `psql`, each in a transaction of its own, until one fails. Answers with what they select: a
    /// line for each row, with `|` between the columns.
    pub fn sql(&self, url: &str, statements: &str) -> Result<String, ClusterError> {
        let mut psql = command(&self.path("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().map_err(ClusterError::system("psql"))?;
        // One that could not connect has closed the pipe, and says so itself.
        let _ = child.stdin.take().expect("standard input is a pipe").write_all(statements.as_bytes());
        let output = child.wait_with_output().map_err(ClusterError::system("psql"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ClusterError::Failed { program: "psql".to_owned(), said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// A program, without what the environment says about a PostgreSQL of somebody else.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_server_is_taken() {
        let system = tempfile::tempdir().unwrap();
        assert!(Programs::newest_under(system.path()).is_none());
        let install = |version: &str, program: &str| {
            let folder = system.path().join(version).join("bin");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(program), "").unwrap();
        };

        install("9", "initdb");
        install("14", "initdb");
        install("18", "psql");
        assert!(Programs::newest_under(system.path()).is_none());

        install("15", "initdb");
        install("17", "initdb");
        let newest = Programs::newest_under(system.path()).unwrap();
        assert_eq!(newest.folder(), system.path().join("17/bin"));
    }
}
