//! `attesto`: the server and the operator's commands.

mod audit;
mod backup;
mod clients;
mod context;
mod dev;
mod doctor;
mod explain;
mod failure;
mod feed;
mod init;
mod input;
mod keys;
mod migrate;
mod output;
mod restore;
mod serve;
mod sessions;
mod users;

use std::ffi::OsString;
use std::process::{ExitCode, exit};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::context::Place;
use crate::failure::Failure;
use crate::output::{Output, presentable_lines};

/// A token authority: RS256 access and refresh tokens, a JWK Set, and sessions that end.
#[derive(Parser)]
#[command(name = "attesto", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    place: Place,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up a new authority: key-encryption key, database, first keys, first user
    ///
    /// The first user's name and password are asked for, or read as two lines of standard input.
    Init,
    /// Run the server
    Serve(serve::Serve),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Bring the schema of the database up to date
    ///
    /// Servers on SQLite do so when they start. Servers on PostgreSQL refuse an older schema: run this once, with the newer
    /// program, while those of the version before go on. What is up to date already stays as it is.
    Migrate,
    /// People who can sign in
    #[command(subcommand)]
    Users(users::Users),
    /// Programs that obtain tokens
    #[command(subcommand)]
    Clients(clients::Clients),
    /// Who is signed in
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// The keys that sign
    #[command(subcommand)]
    Keys(keys::Keys),
    /// What is revoked
    #[command(subcommand)]
    Feed(feed::Feed),
    /// What happened
    #[command(subcommand)]
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    /// Say what the token on standard input is, and check by check whether it is accepted
    ///
    /// Exits with 0 for a refused token too: `--json` says `accepted`.
    Explain,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    // Said by hand: of global options, clap notices no conflict between those before and those behind a command.
    if cli.place.is_ambiguous() {
        let line = "--config and --data each name an authority; give one of them";
        Cli::command().error(ErrorKind::ArgumentConflict, line).exit();
    }
    match attesto_server::block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("attesto: {failure}");
            failure.exit_code()
        }
    }
}

/// Says what is wrong with the command line, or gives the help that was asked for. What was typed stays a mere text.
fn refuse(error: &clap::Error) -> ! {
    let is_plain = |argument: OsString| !argument.to_string_lossy().contains(char::is_control);
    if std::env::args_os().all(is_plain) {
        error.exit();
    }
    // Without colours, which would be obeyed.
    eprint!("{}", presentable_lines(&error.render().to_string()));
    exit(error.exit_code());
}

async fn run(Cli { place, json, command }: Cli) -> Result<(), Failure> {
    let output = Output { json };
    match command {
        Command::Init => init::run(&place, output).await,
        Command::Serve(serve) => serve.run(&place).await,
        Command::Backup(backup) => backup.run(&place, output).await,
        Command::Restore(restore) => restore.run(&place, output).await,
        Command::Migrate => migrate::run(&place, output).await,
        Command::Users(users) => users.run(&place, output).await,
        Command::Clients(clients) => clients.run(&place, output).await,
        Command::Sessions(sessions) => sessions.run(&place, output).await,
        Command::Keys(keys) => keys.run(&place, output).await,
        Command::Feed(feed) => feed.run(&place, output).await,
        Command::Audit(audit) => audit.run(&place, output).await,
        Command::Doctor(doctor) => doctor.run(&place, output).await,
        Command::Explain => explain::run(&place, output).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "attesto", &mut std::io::stdout());
            Ok(())
        }
    }
}
