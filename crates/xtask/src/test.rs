//! The one test command: cheap checks first, an end at the first failure, and a last line that counts.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;

use crate::arrows;
use crate::command::{self, Failure};
use crate::tally::Tally;
use crate::tools::{self, Clients};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out a step, and say so at the end; can be given more than once
    #[arg(long, value_name = "NAME")]
    without: Vec<Step>,
}

/// In the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The code is formatted
    Fmt,
    /// Dependencies point where the architecture allows
    Arrows,
    /// Licences, banned crates and sources of the dependencies
    Deny,
    /// No warning, also in the verifier's other feature sets
    Clippy,
    /// The documentation builds without a warning
    Doc,
    /// Installs the real clients; without it, their tests are left out
    Clients,
    /// Every test and documented example; those of the verifier with its other backend, too
    Tests,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let mut checks = Checks::new(Workspace::load()?, &options.without);
    let outcome = checks.run_all(&options.without);
    if let Err((step, failure)) = &outcome {
        eprintln!("error: {}: {failure}", step.name());
    }
    println!();
    if !options.without.is_empty() {
        println!("left out as asked: {}", names(&options.without));
    }
    println!("{}", checks.tally);
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Checks {
    workspace: Workspace,
    /// What the tests are told about this run.
    environment: Vec<(&'static str, OsString)>,
    tally: Tally,
}

impl Checks {
    fn new(workspace: Workspace, without: &[Step]) -> Self {
        let environment = vec![("ATTESTO_TEST_WITHOUT", names(without).into())];
        Self { workspace, environment, tally: Tally { skipped: without.len(), ..Tally::default() } }
    }

    fn run_all(&mut self, without: &[Step]) -> Result<(), (Step, Failure)> {
        for &step in Step::value_variants().iter().filter(|step| !without.contains(step)) {
            println!("\n==> {}: {}", step.name(), step.purpose());
            let started_at = Instant::now();
            let outcome = self.run(step);
            println!("    {} took {:.1} s", step.name(), started_at.elapsed().as_secs_f64());
            self.count(step, &outcome);
            outcome.map_err(|failure| (step, failure))?;
        }
        Ok(())
    }

    /// A step is one check, except that the tests count themselves, unless they failed before any of them ran.
    fn count(&mut self, step: Step, outcome: &Result<(), Failure>) {
        match outcome {
            Ok(()) if step != Step::Tests => self.tally.passed += 1,
            Err(_) if self.tally.failed == 0 => self.tally.failed = 1,
            _ => {}
        }
    }

    fn run(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Fmt => fmt(),
            Step::Arrows => arrows::check(&self.workspace),
            Step::Deny => deny(&self.workspace),
            Step::Clippy => clippy(),
            Step::Doc => doc(),
            Step::Clients => self.clients(),
            Step::Tests => self.tests(),
        }
    }

    fn clients(&mut self) -> Result<(), Failure> {
        let clients = Clients::install(&self.workspace)?;
        self.environment.extend([
            ("ATTESTO_TEST_PYTHON", clients.python.into()),
            ("ATTESTO_TEST_NODE", clients.node.into()),
            ("ATTESTO_TEST_NODE_MODULES", clients.node_modules.into()),
            ("ATTESTO_TEST_HAPROXY", clients.haproxy.into()),
        ]);
        Ok(())
    }

    fn tests(&mut self) -> Result<(), Failure> {
        self.test(&["--workspace"])?;
        // The verifier's other backend: everywhere else aws-lc stands beside it. And its adapters.
        let features = "ring,reqwest,actix,axum";
        self.test(&["--package", "attesto-verifier", "--no-default-features", "--features", features])
    }

    fn test(&mut self, selection: &[&str]) -> Result<(), Failure> {
        let passed_before = self.tally.passed;
        let mut tests = command::cargo(["test", "--locked", "--no-fail-fast"]);
        tests.args(selection).envs(self.environment.iter().cloned());
        command::for_each_line(&mut tests, "the failures are listed above", |line| {
            print!("{line}");
            self.tally.add_line(line);
        })?;
        if self.tally.passed == passed_before {
            return Err(Failure::new("no test ran", "see why cargo finds none"));
        }
        Ok(())
    }
}

fn fmt() -> Result<(), Failure> {
    command::run(&mut command::cargo(["fmt", "--all", "--check"]), "run `cargo fmt --all`")
}

fn deny(workspace: &Workspace) -> Result<(), Failure> {
    command::run(
        tools::cargo_deny_check(workspace)?.args(["--hide-inclusion-graph", "licenses", "bans", "sources"]),
        "do without that crate, or argue for it in deny.toml",
    )
}

fn clippy() -> Result<(), Failure> {
    for selection in [
        &["--workspace"][..],
        &["--package", "attesto-verifier", "--no-default-features", "--features", "aws-lc"],
        &["--package", "attesto-verifier", "--no-default-features", "--features", "ring"],
        &["--package", "attesto-verifier", "--no-default-features", "--features", "ring,actix"],
        &["--package", "attesto-verifier", "--no-default-features", "--features", "ring,axum"],
        &["--package", "attesto-verifier", "--no-default-features", "--features", "ring,tower"],
        &["--package", "attesto-verifier", "--all-features"],
    ] {
        let mut clippy = command::cargo(["clippy", "--locked", "--all-targets"]);
        clippy.args(selection).args(["--", "-D", "warnings"]);
        command::run(&mut clippy, "the warnings are listed above")?;
    }
    Ok(())
}

fn doc() -> Result<(), Failure> {
    // Without features no page of the verifier would name its adapters.
    let mut doc = command::cargo(["doc", "--workspace", "--locked", "--no-deps", "--document-private-items"]);
    doc.args(["--features", "attesto-verifier/actix,attesto-verifier/axum"]);
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"), "the warnings are listed above")
}

impl Step {
    fn name(self) -> String {
        self.described().get_name().to_owned()
    }

    fn purpose(self) -> String {
        self.described().get_help().expect("every step has a doc comment").to_string()
    }

    fn described(self) -> clap::builder::PossibleValue {
        self.to_possible_value().expect("every step can be named")
    }
}

fn names(steps: &[Step]) -> String {
    steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(",")
}
