//! What only a release needs: what takes long, or needs the network, a second Rust or a checkout without changes.

use std::fs;
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::command::{self, Failure};
use crate::workspace::{Workspace, name};
use crate::{progress, tools};

const CHANGELOG: &str = "docs/CHANGELOG.md";

type Check = fn(&Workspace) -> Result<(), Failure>;

/// The cheap ones first. Each with its name, what it holds, and how.
const STEPS: [(&str, &str, Check); 5] = [
    ("changelog", "The changelog has a section for this version", changelog),
    ("audit", "No dependency has a known vulnerability", tools::audit),
    ("rust-version", "The published crates build with the Rust that they promise", rust_version),
    ("publish", "The published crates can be published, and build from what is in their packages", publish),
    ("fuzz", "The verifier withstands a million changed inputs of each kind", fuzz),
];

pub(crate) fn check() -> Result<ExitCode, Failure> {
    let workspace = Workspace::load()?;
    for (name, purpose, check) in STEPS {
        progress::step(name, purpose, || check(&workspace))?;
    }
    println!(
        "\n{} checks passed; `cargo publish` may follow once `cargo xtask test` has passed, too",
        STEPS.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn changelog(workspace: &Workspace) -> Result<(), Failure> {
    let changelog = fs::read_to_string(workspace.root.join(CHANGELOG))
        .map_err(|error| Failure::new(format!("{CHANGELOG} cannot be read ({error})"), "restore it"))?;
    for package in workspace.published() {
        let version = package["version"].as_str().expect("cargo metadata names versions");
        if !has_section(&changelog, version) {
            return Err(Failure::new(
                format!("{CHANGELOG} has no section for {} {version}", name(package)),
                format!("head what is unreleased with `## [{version}] - YYYY-MM-DD`"),
            ));
        }
    }
    Ok(())
}

fn has_section(changelog: &str, version: &str) -> bool {
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    headings
        .filter_map(|heading| heading.split_whitespace().next())
        .any(|heading| heading.trim_start_matches('[').trim_end_matches(']') == version)
}

fn publish(workspace: &Workspace) -> Result<(), Failure> {
    let mut publish = command::cargo(["publish", "--dry-run", "--locked"]);
    command::run(publish.args(selection(workspace)), "commit what has changed, or mend what cargo says above")
}

fn rust_version(workspace: &Workspace) -> Result<(), Failure> {
    for package in workspace.published() {
        let promised = package["rust_version"].as_str().expect("a published crate promises a Rust version");
        let mut check = Command::new("rustup");
        check.args(["run", promised, "cargo", "check", "--locked", "--all-features"]);
        command::run(
            check.args(["--package", name(package)]),
            &format!("mend it, or get that Rust (rustup toolchain install {promised} --profile minimal)"),
        )?;
    }
    Ok(())
}

fn fuzz(_: &Workspace) -> Result<(), Failure> {
    // Not a release build, where an overflow goes unnoticed.
    let mut fuzz = command::cargo(["test", "--locked", "--package", "attesto-verifier", "--all-features"]);
    command::run(
        fuzz.args(["--test", "it", "mutations"]).env("ATTESTO_FUZZ_CASES", "1000000"),
        "the input that fails is above, as short as it could be made",
    )
}

fn selection(workspace: &Workspace) -> impl Iterator<Item = &str> {
    workspace.published().flat_map(|package: &Value| ["--package", name(package)])
}

#[cfg(test)]
mod tests {
    use super::has_section;

    #[test]
    fn a_section_is_for_the_whole_version() {
        let changelog =
            "# Changelog\n\nSince 0.2.0\n\n## Unreleased\n\n## [0.3.0] - 2026-11-24\n\n## 0.1.0\n";
        assert!(has_section(changelog, "0.3.0"));
        assert!(has_section(changelog, "0.1.0"));
        assert!(!has_section(changelog, "0.2.0"));
        assert!(!has_section(changelog, "0.3"));
    }
}
