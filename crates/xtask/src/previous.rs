//! The program of the version before, whose servers go on while an operator replaces them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::made_once::made_once;
use crate::tools::tools;
use crate::workspace::Workspace;

/// The last commit of 0.3.0 before the work on 0.4.0. Once there are releases: the tag of the one before.
const COMMIT: &str = "271493bb6827992e8a8cf3878f9c63fc60df9a68";

/// Builds it from the history of this repository; `None` where a checkout has no such history.
pub(crate) fn build(workspace: &Workspace) -> Result<Option<PathBuf>, Failure> {
    if !is_there(workspace)? {
        return Ok(None);
    }
    let toolchain = command::output_of(Command::new("rustc").arg("--version"), "install Rust")?;
    let recipe = format!("{COMMIT} {toolchain}");
    let folder = made_once(&tools(workspace).join("previous"), &recipe, |folder| {
        let source = folder.join("source");
        check_out(workspace, &source)?;
        compile(workspace, &source, &folder.join("target"))
    })?;
    Ok(Some(folder.join("target/debug/attesto")))
}

/// Git says on standard error why it is not.
fn is_there(workspace: &Workspace) -> Result<bool, Failure> {
    let status = git(workspace).args(["cat-file", "-e", &format!("{COMMIT}^{{commit}}")]).status();
    Ok(status.map_err(|error| Failure::new(format!("git: {error}"), "install git"))?.success())
}

fn check_out(workspace: &Workspace, source: &Path) -> Result<(), Failure> {
    let archive = source.with_extension("tar");
    let mut export = git(workspace);
    export.args(["archive", "--format=tar", "--prefix=source/", COMMIT, "--output"]).arg(&archive);
    command::run(&mut export, "see whether `git fsck` finds the repository whole")?;
    // Cargo tells sources of one version apart by their times: those of the commit may be older than what it has compiled.
    let mut unpack = Command::new("tar");
    unpack
        .args(["--extract", "--touch"])
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(source.with_file_name(""));
    command::run(&mut unpack, "install tar")
}

/// What it depends on is built as this version has it built, and shared where both depend on the same; the programs are not.
fn compile(workspace: &Workspace, source: &Path, target: &Path) -> Result<(), Failure> {
    let mut build = command::cargo(["build", "--quiet", "--locked", "--workspace", "--bin", "attesto"]);
    build.arg("--manifest-path").arg(source.join("Cargo.toml")).arg("--target-dir").arg(target);
    build.current_dir(&workspace.root).env("CARGO_BUILD_BUILD_DIR", &workspace.target);
    command::run(&mut build, "see above why it is not built")
}

fn git(workspace: &Workspace) -> Command {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root);
    git
}
