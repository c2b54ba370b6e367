//! Builds the server and its bench as they are released, and runs the bench.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::command::{self, Failure};
use crate::tools::Peers;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// For the bench: `signing`, `serving`, --peers, --soak, --quick, --json, --help and more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let workspace = Workspace::load()?;
    command::run(
        &mut command::cargo([
            "build",
            "--release",
            "--locked",
            "--package",
            "attesto",
            "--package",
            "attesto-bench",
        ]),
        "the errors are listed above",
    )?;
    let mut bench = Command::new(workspace.target.join("release/attesto-bench"));
    if options.arguments.iter().any(|argument| argument == "--peers") {
        let Peers { programs, python, node, node_modules } = Peers::install(&workspace)?;
        bench.envs([
            ("ATTESTO_BENCH_PEERS", programs),
            ("ATTESTO_BENCH_PYTHON", python),
            ("ATTESTO_BENCH_NODE", node),
            ("ATTESTO_BENCH_NODE_MODULES", node_modules),
        ]);
    }
    command::run(bench.args(&options.arguments), "the cause is above")?;
    Ok(ExitCode::SUCCESS)
}
