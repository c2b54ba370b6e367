use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use attesto_core::{Actor, AuditEvent, Event, Instant};
use attesto_server::Clock;
use attesto_server::config::Settings;
use attesto_store::{OpenError, Store};
use clap::Args;

use crate::failure::Failure;

/// Which authority a command is about.
#[derive(Args)]
pub struct Place {
    /// The configuration file; settings can also come from `ATTESTO_…` variables
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory that `serve --dev` made [default: ./attesto-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The configuration file inside the data directory of `serve --dev`.
pub const FILE_IN_DATA: &str = "attesto.toml";

const DEFAULT_DATA: &str = "attesto-data";

impl Place {
    /// The data directory of `serve --dev`.
    pub fn data_directory(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA))
    }

    /// Whether two authorities were named, and either could be meant.
    pub fn is_ambiguous(&self) -> bool {
        self.config.is_some() && self.data.is_some()
    }

    /// Whether a configuration file was named.
    pub fn names_config(&self) -> bool {
        self.config.is_some()
    }

    /// The configuration file, if settings come from one.
    pub fn file(&self) -> Option<PathBuf> {
        let (file, _) = self.sources();
        file
    }

    /// The settings: of the named file or directory, else of the variables if they name a database, else of the
    /// default data directory.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let (file, variables) = self.sources();
        if file.is_none() && !name_a_database(&variables) {
            return Err(Failure::new(
                "which authority? Name it with --config FILE or --data DIR; `attesto serve --dev` makes one",
            ));
        }
        Ok(Settings::read(file.as_deref(), variables)?)
    }

    /// Where settings come from.
    fn sources(&self) -> (Option<PathBuf>, Vec<(String, String)>) {
        let variables = variables();
        let file = match (&self.config, &self.data) {
            (Some(config), _) => Some(config.clone()),
            (None, Some(data)) => Some(data.join(FILE_IN_DATA)),
            (None, None) if name_a_database(&variables) => None,
            (None, None) => Some(Path::new(DEFAULT_DATA).join(FILE_IN_DATA)).filter(|file| file.exists()),
        };
        (file, variables)
    }

    /// The settings of a data directory, whatever else is named.
    pub fn settings_of(data: &Path) -> Result<Settings, Failure> {
        Ok(Settings::read(Some(&data.join(FILE_IN_DATA)), variables())?)
    }

    /// The database, opened for a command beside the server.
    pub async fn store(&self) -> Result<Store, Failure> {
        Self::open(&self.settings()?).await
    }

    /// The same, for a command that needs the settings as well.
    pub async fn open(settings: &Settings) -> Result<Store, Failure> {
        let store = Store::open(&settings.database)?;
        store.require_current().await?;
        go_by_clock_of(&store).await?;
        Ok(store)
    }
}

fn name_a_database(variables: &[(String, String)]) -> bool {
    variables.iter().any(|(name, _)| name == "ATTESTO_DATABASE")
}

/// The environment. Names that are no text are none of ours.
fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The clock of the database that this command is about.
static CLOCK: OnceLock<Clock> = OnceLock::new();

/// What is written is dated by the clock that the servers of the database go by.
pub async fn go_by_clock_of(store: &Store) -> Result<(), Failure> {
    let _ = CLOCK.set(Clock::system().of(store).await.map_err(OpenError::from)?);
    Ok(())
}

/// The present instant.
pub fn now() -> Instant {
    CLOCK.get_or_init(Clock::system).now()
}

/// Who is at the keyboard, as far as the environment tells: a hint for the audit, no proof.
pub fn operator() -> Actor {
    // It is shown in terminals.
    let presentable = |name: &String| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(presentable));
    Actor::Operator(name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())))
}

/// An audit event that the operator brings about now. What ends something makes it inside of its transaction: while that
/// waits for its turn, others sign.
pub fn event(event: Event) -> AuditEvent {
    AuditEvent::new(event, operator(), now())
}
