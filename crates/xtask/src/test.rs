//! The one test command: cheap checks first, an end at the first failure, and a last line that counts.

use std::ffi::OsString;
use std::process::ExitCode;

use attesto_cluster::Cluster;
use clap::ValueEnum;

use crate::command::{self, Failure};
use crate::tally::Tally;
use crate::tools::{self, Clients};
use crate::workspace::{Workspace, name};
use crate::{arrows, features, previous, progress, published};

const VERIFIER: &str = "attesto-verifier";

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
    /// The published crates bring in few packages, none that needs a newer Rust than promised, and can be packed
    Published,
    /// No warning, also with each feature of the published crates alone
    Clippy,
    /// The documentation builds without a warning
    Doc,
    /// Installs the real clients and what judges the files in `deploy`; without it, their tests are left out
    Clients,
    /// Starts PostgreSQL for the tests, with a pooler at hand; without it, those that need it are left out
    Postgres,
    /// Builds the program of the version before from the history; without it, the tests of an upgrade are left out
    Previous,
    /// Every test and documented example; those of the verifier with its other backend, too
    Tests,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let mut checks = Checks::new(Workspace::load()?, &options.without);
    let outcome = checks.run_all();
    if let Err((step, failure)) = &outcome {
        eprintln!("error: {}: {failure}", step.name());
    }
    println!();
    if !checks.left_out.is_empty() {
        println!("left out: {}", names(&checks.left_out));
    }
    println!("{}", checks.tally);
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Checks {
    workspace: Workspace,
    /// As asked, and what this checkout cannot have.
    left_out: Vec<Step>,
    /// What the tests are told about this run.
    environment: Vec<(&'static str, OsString)>,
    /// Runs as long as the checks do.
    cluster: Option<Cluster>,
    tally: Tally,
}

impl Checks {
    fn new(workspace: Workspace, without: &[Step]) -> Self {
        let tally = Tally { skipped: without.len(), ..Tally::default() };
        Self { workspace, left_out: without.to_vec(), environment: Vec::new(), cluster: None, tally }
    }

    fn run_all(&mut self) -> Result<(), (Step, Failure)> {
        for &step in Step::value_variants() {
            if self.left_out.contains(&step) {
                continue;
            }
            let outcome = progress::step(&step.name(), &step.purpose(), || self.run(step));
            self.count(step, &outcome);
            outcome.map_err(|failure| (step, failure))?;
        }
        Ok(())
    }

    /// A step is one check, except that the tests count themselves, unless they failed before any of them ran.
    fn count(&mut self, step: Step, outcome: &Result<(), Failure>) {
        match outcome {
            Ok(()) if self.left_out.contains(&step) => self.tally.skipped += 1,
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
            Step::Published => published::check(&self.workspace),
            Step::Clippy => clippy(&self.workspace),
            Step::Doc => doc(&self.workspace),
            Step::Clients => self.clients(),
            Step::Postgres => self.postgres(),
            Step::Previous => self.previous(),
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
            ("ATTESTO_TEST_PROMTOOL", clients.promtool.into()),
            ("ATTESTO_TEST_SYSTEMD_ANALYZE", clients.systemd_analyze.into()),
        ]);
        Ok(())
    }

    fn postgres(&mut self) -> Result<(), Failure> {
        let programs = tools::postgres(&self.workspace)?;
        let cluster = Cluster::start(&programs, &[])
            .map_err(|error| Failure::new(error, "if it cannot be had, use `--without postgres`"))?;
        self.environment.extend([
            ("ATTESTO_TEST_POSTGRES_BIN", programs.folder().into()),
            ("ATTESTO_TEST_PGBOUNCER", tools::pgbouncer(&self.workspace)?.into()),
            ("ATTESTO_TEST_POSTGRES", cluster.url("postgres").into()),
        ]);
        self.cluster = Some(cluster);
        Ok(())
    }

    fn previous(&mut self) -> Result<(), Failure> {
        let Some(program) = previous::build(&self.workspace)? else {
            println!("    left out: this checkout does not hold the history of that version");
            self.left_out.push(Step::Previous);
            return Ok(());
        };
        self.environment.push(("ATTESTO_TEST_PREVIOUS", program.into()));
        Ok(())
    }

    fn tests(&mut self) -> Result<(), Failure> {
        let workspace = ["--workspace", "--exclude", VERIFIER];
        if self.cluster.is_some() {
            self.test(&workspace)?;
            self.test_on_postgres()?;
        } else {
            self.test(&[&workspace[..], &["--", "--skip", "postgres::"]].concat())?;
        }
        // Its backends one after the other, with everything else it has: aws-lc goes before ring.
        self.test(&["--package", VERIFIER, "--all-features"])?;
        let with_ring = features::all_but(self.workspace.package(VERIFIER), "aws-lc");
        self.test(&["--package", VERIFIER, "--no-default-features", "--features", &with_ring])
    }

    /// What the store and the server do, once more on the other database, but for what a file alone can do.
    fn test_on_postgres(&mut self) -> Result<(), Failure> {
        let selection = ["--package", "attesto-store", "--package", "attesto-server", "--test", "it"];
        self.test_with(
            &[("ATTESTO_TEST_ON", "postgres")],
            &[&selection[..], &["--", "--skip", "sqlite::"]].concat(),
        )
    }

    fn test(&mut self, selection: &[&str]) -> Result<(), Failure> {
        self.test_with(&[], selection)
    }

    fn test_with(&mut self, variables: &[(&str, &str)], selection: &[&str]) -> Result<(), Failure> {
        let passed_before = self.tally.passed;
        let mut tests = command::cargo(["test", "--locked", "--no-fail-fast"]);
        tests.args(selection).env("ATTESTO_TEST_WITHOUT", names(&self.left_out));
        tests.envs(self.environment.iter().cloned()).envs(variables.iter().copied());
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

fn clippy(workspace: &Workspace) -> Result<(), Failure> {
    no_warning(&["--workspace"])?;
    for package in workspace.published() {
        let package_alone = ["--package", name(package)];
        for features in features::each_alone(package) {
            no_warning(&[&package_alone[..], &["--no-default-features", "--features", &features]].concat())?;
        }
        no_warning(&[&package_alone[..], &["--all-features"]].concat())?;
    }
    Ok(())
}

fn no_warning(selection: &[&str]) -> Result<(), Failure> {
    let mut clippy = command::cargo(["clippy", "--locked", "--all-targets"]);
    clippy.args(selection).args(["--", "-D", "warnings"]);
    command::run(&mut clippy, "the warnings are listed above")
}

fn doc(workspace: &Workspace) -> Result<(), Failure> {
    // As the world reads it, where a link to something private leads nowhere; then as we do.
    for package in workspace.published() {
        no_warning_in_doc(&["--package", name(package)])?;
    }
    no_warning_in_doc(&["--workspace", "--document-private-items"])
}

fn no_warning_in_doc(selection: &[&str]) -> Result<(), Failure> {
    let mut doc = command::cargo(["doc", "--locked", "--no-deps", "--all-features"]);
    command::run(doc.args(selection).env("RUSTDOCFLAGS", "-D warnings"), "the warnings are listed above")
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
