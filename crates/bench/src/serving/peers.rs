//! Others that do the same, installed from their own registries by `cargo xtask bench --peers`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::Outcome;

/// Where their programs are, and what runs these.
#[derive(clap::Args, Clone)]
pub struct Places {
    /// The folder of the peers' programs
    #[arg(long, hide = true, value_name = "DIR", env = "ATTESTO_BENCH_PEERS")]
    programs: Option<PathBuf>,
    /// A Python that has what simplejwt/requirements.txt lists
    #[arg(long, hide = true, value_name = "FILE", env = "ATTESTO_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// Node.js
    #[arg(long, hide = true, value_name = "FILE", env = "ATTESTO_BENCH_NODE")]
    node: Option<PathBuf>,
    /// Where oidc-provider is installed
    #[arg(long, hide = true, value_name = "DIR", env = "ATTESTO_BENCH_NODE_MODULES")]
    node_modules: Option<PathBuf>,
}

/// Ready to be started.
pub struct Peers {
    programs: PathBuf,
    python: PathBuf,
    node: PathBuf,
    node_modules: PathBuf,
    data: TempDir,
}

impl Peers {
    /// Makes SimpleJWT's database and key.
    pub fn set_up(places: &Places) -> Outcome<Self> {
        let Places { programs, python, node, node_modules } = places.clone();
        let places = programs.zip(python).zip(node.zip(node_modules));
        let ((programs, python), (node, node_modules)) =
            places.ok_or("`cargo xtask bench --peers` installs the peers; this program alone does not")?;
        let peers = Self { programs, python, node, node_modules, data: tempfile::tempdir()? };
        let status = peers.python().arg("service.py").status()?;
        if !status.success() {
            return Err(format!("SimpleJWT could not be set up ({status}); see above").into());
        }
        Ok(peers)
    }

    /// One worker of gunicorn.
    pub fn simplejwt(&self) -> Command {
        let mut command = self.python();
        command.args(["-m", "gunicorn", "--config", "gunicorn.conf.py", "service:application"]);
        command
    }

    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.current_dir(self.programs.join("simplejwt"));
        command.env("DATA", self.data.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// One process of Node.js.
    pub fn oidc_provider(&self) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(self.programs.join("oidc-provider/server.mjs"));
        command.env("NODE_MODULES", &self.node_modules).env("NODE_ENV", "production");
        command
    }
}
