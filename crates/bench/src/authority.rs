//! An authority to measure, in a folder that goes away.

use std::fs;
use std::path::PathBuf;

use attesto_core::{Actor, CustomClaims, Password, User, UserId, Username, Watermark};
use attesto_server::config::Settings;
use attesto_server::init::{Beginning, initialise};
use attesto_server::{Clock, Passwords};
use attesto_store::ServerLock;
use tempfile::TempDir;

use crate::Outcome;

/// Its one user.
pub const USERNAME: &str = "ada";
/// The user's identifier.
pub const USER_ID: &str = "0199f0a4-7c5e-7d3a-9c1b-2f6b8e4d5a17";
/// The user's password.
pub const PASSWORD: &str = "correct horse battery";

/// An authority that was set up, and is not running.
pub struct Authority {
    /// Its configuration file.
    pub config: PathBuf,
    /// What stands in there.
    pub settings: Settings,
    _folder: TempDir,
}

impl Authority {
    /// Sets one up. `lines` of TOML are its settings besides the necessary ones.
    pub async fn set_up(lines: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("attesto.toml");
        let necessary = "issuer = \"https://auth.example.com\"\ndatabase = \"sqlite:attesto.db\"\n\
             key_encryption_keys = [\"kek\"]\nsimplejwt_audience = \"shop\"\nlog = \"warn\"\n";
        fs::write(&config, format!("{necessary}{lines}"))?;
        let settings = Settings::read(Some(&config), [])?;
        let now = Clock::system().now();
        let user = User {
            id: UserId(USER_ID.to_owned()),
            username: Username::new(USERNAME)?,
            password_hash: Passwords::new().hash(Password::typed(PASSWORD.to_owned())).await?,
            password_version: 1,
            claims: CustomClaims::parse(r#"{"name": "Ada Lovelace", "roles": ["staff", "orders"]}"#)?,
            disabled_at: None,
            watermark: Watermark::default(),
            created_at: now,
        };
        let lock = ServerLock::acquire(&settings.database)?;
        let beginning = Beginning { user, clients: Vec::new() };
        initialise(&lock, &settings, beginning, Actor::Operator("bench".to_owned()), now).await?;
        Ok(Self { config, settings, _folder: folder })
    }
}
