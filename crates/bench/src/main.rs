//! How fast Attesto is: ratios and differences within one run, because a machine is never the same twice.

mod authority;
mod connection;
mod cores;
mod feed;
mod goal;
mod load;
mod machine;
mod presented;
mod rotation;
mod server;
mod serving;
mod signing;
mod soak;
mod stats;
mod table;
mod verifying;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use attesto_keyring::RsaBits;
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::authority::SQLITE;
use crate::machine::Machine;
use crate::serving::bare::Bare;
use crate::serving::chart::chart;
use crate::serving::contender::What;
use crate::serving::peers::Places;
use crate::soak::Growth;

/// A result, or one line that says why there is none.
type Outcome<T> = Result<T, BenchError>;

type BenchError = Box<dyn Error + Send + Sync>;

/// Measure how fast Attesto is
///
/// Progress goes to standard error, results to standard output. A goal that is missed is shown, and is no failure.
#[derive(Parser)]
#[command(name = "attesto-bench", bin_name = "cargo xtask bench", max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    counterpart: Option<Counterpart>,
    /// What to measure [default: everything]
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
    #[command(flatten)]
    growth: Growth,
    /// Short runs: enough to see that it works, too short to judge by
    #[arg(long)]
    quick: bool,
    /// Results in JSON, for programs
    #[arg(long)]
    json: bool,
    /// How many clients refresh at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// The size of the keys that are rotated: 2048, 3072 or 4096
    #[arg(long, value_name = "BITS", default_value_t)]
    rsa_key_bits: RsaBits,
    /// The server to measure [default: the `attesto` beside this program]
    #[arg(long, value_name = "FILE")]
    attesto: Option<PathBuf>,
    /// Where `serving` keeps sessions: empty databases, with `{}` for the names rs256, signins, es256, cores and overload
    #[arg(long, value_name = "URL", default_value = SQLITE)]
    database: String,
    /// Let `serving` also measure SimpleJWT under gunicorn, and oidc-provider
    #[arg(long)]
    peers: bool,
    #[command(flatten)]
    places: Places,
    /// Let `serving` measure only this, for a profiler
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<What>,
    /// Write the refreshes of `serving` as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What `serving` starts for itself.
#[derive(Subcommand)]
enum Counterpart {
    #[command(hide = true)]
    Bare(Bare),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Tokens through the whole issuer against the bare signature of the same key, on one core
    Signing,
    /// Tokens through the verifier against the bare verification of the same key, on one core
    Verifying,
    /// Refreshes while the keys of the server rotate
    Rotation,
    /// A server under load, against bare signatures and against others that do the same
    Serving,
    /// The revocation feed: who waits for it, its snapshot, and how fast it takes revocations
    Feed,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    machine: Machine,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<signing::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifying: Option<verifying::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<rotation::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<serving::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<feed::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soak: Option<soak::Report>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("attesto-bench: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    match &options.counterpart {
        Some(Counterpart::Bare(bare)) => bare.serve(),
        None => measure(options),
    }
}

fn measure(options: &Options) -> Outcome<()> {
    let report = Report {
        machine: Machine::look()?,
        signing: options.wants(Measurement::Signing).then(|| signing::measure(options.quick)).transpose()?,
        verifying: options
            .wants(Measurement::Verifying)
            .then(|| verifying::measure(options.quick))
            .transpose()?,
        rotation: options.wants(Measurement::Rotation).then(|| rotation(options)).transpose()?,
        serving: options.wants(Measurement::Serving).then(|| serving(options)).transpose()?,
        feed: options
            .wants(Measurement::Feed)
            .then(|| feed::measure(&options.program()?, options.quick))
            .transpose()?,
        soak: options.growth.soak.then(|| soak(options)).transpose()?,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}

fn rotation(options: &Options) -> Outcome<rotation::Report> {
    let program = options.program()?;
    rotation::measure(&rotation::Plan::new(program, options.connections, options.rsa_key_bits, options.quick))
}

fn serving(options: &Options) -> Outcome<serving::Report> {
    let peers = options.peers.then(|| options.places.clone());
    let database = options.database.clone();
    let plan = serving::Plan::new(options.program()?, database, peers, options.only, options.quick);
    let report = serving::measure(&plan)?;
    if let Some(file) = &options.svg {
        fs::write(file, chart(&report, 16))?;
    }
    Ok(report)
}

fn soak(options: &Options) -> Outcome<soak::Report> {
    let program = options.program()?;
    soak::measure(&soak::Plan::new(program, options.connections, options.growth.sessions, options.quick))
}

impl Options {
    fn program(&self) -> Outcome<PathBuf> {
        match &self.attesto {
            Some(program) => Ok(program.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("attesto")),
        }
    }

    fn wants(&self, measurement: Measurement) -> bool {
        !self.growth.soak && (self.measurements.is_empty() || self.measurements.contains(&measurement))
    }
}

impl Report {
    fn print(&self) {
        println!("{}", self.machine);
        if let Some(signing) = &self.signing {
            println!("\n{signing}");
        }
        if let Some(verifying) = &self.verifying {
            println!("\n{verifying}");
        }
        if let Some(rotation) = &self.rotation {
            println!("\n{rotation}");
        }
        if let Some(serving) = &self.serving {
            println!("\n{serving}");
        }
        if let Some(feed) = &self.feed {
            println!("\n{feed}");
        }
        if let Some(soak) = &self.soak {
            println!("\n{soak}");
        }
    }
}

/// Says how far the work is.
fn progress(line: &str) {
    eprintln!("    {line}");
}
