//! The commands of this repository: `cargo xtask test` is the one that decides whether a change is good.

mod arrows;
mod bench;
mod command;
mod debian;
mod features;
mod made_once;
mod previous;
mod progress;
mod published;
mod release;
mod tally;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Failure;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "The commands of this repository")]
enum Xtask {
    /// Run every check of the repository; the last line counts them
    ///
    /// Needs Rust, a C compiler, git, make, perl and python3 with venv; whatever else it uses, it installs under
    /// target/tools the first time. A step that lacks something fails; none is skipped unasked, but that for the version before
    /// in a checkout without its history.
    Test(test::Options),

    /// Measure how fast a release build is; no part of `test`
    #[command(disable_help_flag = true)]
    Bench(bench::Options),

    /// Look for known vulnerabilities in the dependencies
    ///
    /// Downloads the advisory database, so it can fail although nothing changed here, and is no part of `test`.
    Audit,

    /// Check what only a release needs; `test` is to pass as well
    ///
    /// The changelog knows the version, the published crates build with the Rust they promise and can be published, no
    /// dependency has a known vulnerability, and the verifier withstands a million changed inputs of each kind. Ends at
    /// the first failure. Needs rustup with that Rust, a checkout without changes, and the network.
    ReleaseCheck,
}

fn main() -> ExitCode {
    let outcome = match Xtask::parse() {
        Xtask::Test(options) => test::run(&options),
        Xtask::Bench(options) => bench::run(&options),
        Xtask::Audit => audit(),
        Xtask::ReleaseCheck => release::check(),
    };
    match outcome {
        Ok(exit_code) => exit_code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn audit() -> Result<ExitCode, Failure> {
    tools::audit(&Workspace::load()?)?;
    Ok(ExitCode::SUCCESS)
}
