//! An authority to measure, in a folder that goes away.

use std::fs;
use std::path::PathBuf;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use attesto_core::{
    Actor, AuditEvent, CustomClaims, Event, Password, PasswordHash, User, UserId, Username, Watermark,
};
use attesto_server::config::Settings;
use attesto_server::init::{Beginning, initialise};
use attesto_server::{Clock, Passwords};
use attesto_store::{ServerLock, Store};
use tempfile::TempDir;

use crate::Outcome;

/// Its first user.
pub const USERNAME: &str = "ada";
/// The user's identifier.
pub const USER_ID: &str = "0199f0a4-7c5e-7d3a-9c1b-2f6b8e4d5a17";
/// A user whose password hash costs next to nothing: signing in shows what is not hashing.
pub const CHEAPLY_HASHED: &str = "grace";
/// The password of both.
pub const PASSWORD: &str = "correct horse battery";

/// Where an authority keeps what it knows, unless it is told otherwise.
pub const SQLITE: &str = "sqlite:attesto.db";

/// An authority that was set up, and is not running.
pub struct Authority {
    /// Its configuration file.
    pub config: PathBuf,
    /// What stands in there.
    pub settings: Settings,
    _folder: TempDir,
}

impl Authority {
    /// Sets one up on SQLite. `lines` of TOML are its settings besides the necessary ones.
    pub async fn set_up(lines: &str) -> Outcome<Self> {
        Self::set_up_on(SQLITE, lines).await
    }

    /// Sets one up on an empty database; a file's path is taken from the folder that goes away.
    pub async fn set_up_on(database: &str, lines: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("attesto.toml");
        let necessary = format!(
            "issuer = \"https://auth.example.com\"\ndatabase = \"{database}\"\nkey_encryption_keys = [\"kek\"]\n\
             simplejwt_audience = \"shop\"\nlog = \"warn\"\n"
        );
        fs::write(&config, format!("{necessary}{lines}"))?;
        let settings = Settings::read(Some(&config), [])?;
        let hash = Passwords::new().hash(Password::typed(PASSWORD.to_owned())).await?;
        let lock = ServerLock::acquire(&settings.database)?;
        let beginning = Beginning { user: user(USER_ID, USERNAME, hash)?, clients: Vec::new() };
        initialise(&lock, &settings, beginning, operator(), Clock::system().now()).await?;
        Ok(Self { config, settings, _folder: folder })
    }

    /// Adds [`CHEAPLY_HASHED`].
    pub async fn add_cheaply_hashed(&self) -> Outcome<()> {
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None)?);
        let hash = PasswordHash::new(cheap.hash_password(PASSWORD.as_bytes())?.to_string());
        let user = user("0199f0a4-7c5e-7d3a-9c1b-2f6b8e4d5a18", CHEAPLY_HASHED, hash)?;
        let event = AuditEvent::new(Event::UserAdded, operator(), Clock::system().now());
        Store::open(&self.settings.database)?.write(move |tx| tx.insert_user(&user, &event)).await?;
        Ok(())
    }
}

fn user(id: &str, name: &str, password_hash: PasswordHash) -> Outcome<User> {
    Ok(User {
        id: UserId(id.to_owned()),
        username: Username::new(name)?,
        password_hash,
        password_version: 1,
        claims: CustomClaims::parse(r#"{"name": "Ada Lovelace", "roles": ["staff", "orders"]}"#)?,
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: Clock::system().now(),
    })
}

fn operator() -> Actor {
    Actor::Operator("bench".to_owned())
}
