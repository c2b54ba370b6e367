use std::net::{SocketAddr, TcpListener};

use attesto_server::config::Settings;
use attesto_server::{StartError, log_to_stderr};
use clap::Args;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::context::Place;
use crate::dev;
use crate::failure::Failure;
use crate::output::say;

/// Run the server
#[derive(Args)]
pub struct Serve {
    /// Set everything up in a data directory first, for development
    #[arg(long)]
    dev: bool,
    /// Where to listen; port 0 picks a free one [default: as configured, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    /// Runs until it is told to stop.
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        // A crash must not leave private keys in a core file. Where that cannot be had, the server still runs.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        if self.dev { self.run_dev(place).await } else { self.run_configured(place).await }
    }

    async fn run_configured(self, place: &Place) -> Result<(), Failure> {
        let settings = place.settings()?;
        log_to_stderr(&settings.log, settings.log_format);
        let listener = bind(self.listen.unwrap_or(settings.listen))?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        Ok(attesto_server::serve(settings, listener, || announce("", scheme, address)).await?)
    }

    async fn run_dev(self, place: &Place) -> Result<(), Failure> {
        if place.names_config() {
            return Err(Failure::new("--dev makes its own configuration; name its folder with --data"));
        }
        let listener = bind(self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))))?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let ready = dev::prepare(place.data_directory(), address).await?;
        // It is called by http everywhere: in dev.json, and in what it prints.
        let settings = Settings { tls: None, ..Place::settings_of(place.data_directory())? };
        log_to_stderr(&settings.log, settings.log_format);
        let welcome = ready.welcome(address);
        Ok(attesto_server::serve(settings, listener, || announce(&welcome, "http", address)).await?)
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|cause| {
        Failure::new(format!("cannot listen on {address}: {cause}; choose another address with --listen"))
    })
}

/// A server whose output nobody can read serves all the same.
fn announce(welcome: &str, scheme: &str, address: SocketAddr) {
    let line = format!("listening on {scheme}://{address}");
    let text = if welcome.is_empty() { line } else { format!("{welcome}\n{line}") };
    let _ = say(&text);
}
