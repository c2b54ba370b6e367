//! Several servers on one PostgreSQL database, and what becomes of them while it is away.

mod faults;
mod replicas;
mod restore;
mod upgrade;

use std::process::Command;

use crate::authority::{Authority, CONFIGURATION};

/// An authority whose database is there.
fn authority_on(database: &str) -> Authority {
    configured_on(database, CONFIGURATION)
}

fn configured_on(database: &str, configuration: &str) -> Authority {
    Authority::configured(&configuration.replace("sqlite:attesto.db", database))
}

/// A command of the same authority, with a database that is reached another way.
fn with_database(mut command: Command, database: &str) -> Command {
    command.env("ATTESTO_DATABASE", database);
    command
}
