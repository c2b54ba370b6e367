use std::io::{IsTerminal as _, stdin};

use attesto_core::{CustomClaims, Instant, Password, User, UserId, Username, Watermark};
use attesto_server::config::Settings;
use attesto_server::init::{Beginning, Found, find, initialise};
use attesto_server::{Passwords, StartError};
use attesto_store::ServerLock;
use serde_json::json;

use crate::context::{Place, now, operator};
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// `attesto init`: an authority that `serve --config` runs with nothing done by hand.
pub async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let settings = place.settings()?;
    if let Found::Initialised { issuer } = find(&settings).await? {
        return already(&settings, &issuer, output);
    }
    if stdin().is_terminal() {
        eprint!("Name of the first user: ");
    }
    let username = input::line("the first user's name")?;
    let user = new_user(&username, &input::new_password()?, now()).await?;
    let sentence = format!(
        "{} is set up for {}, with the user {}.\nKeep a copy of {}: without it the signing keys never open again.",
        settings.database,
        settings.issuer,
        user.username,
        settings.key_encryption_keys[0].display(),
    );
    let lock = ServerLock::acquire(&settings.database)?;
    let beginning = Beginning { user, clients: Vec::new() };
    match initialise(&lock, &settings, beginning, operator(), now()).await {
        Ok(()) => output.done(&sentence, &json!({"issuer": settings.issuer, "created": true})),
        Err(StartError::AlreadyInitialised { issuer }) => already(&settings, &issuer, output),
        Err(other) => Err(other.into()),
    }
}

fn already(settings: &Settings, issuer: &str, output: Output) -> Result<(), Failure> {
    let sentence = format!("{} is set up already, for {issuer}; nothing was changed", settings.database);
    output.done(&sentence, &json!({"issuer": issuer, "created": false}))
}

/// A user who can sign in, with a password that was chosen by somebody.
pub async fn new_user(username: &str, password: &str, now: Instant) -> Result<User, Failure> {
    let username = Username::new(username).map_err(|wrong| Failure::new(wrong.to_string()))?;
    let password = Password::chosen(password.to_owned(), username.as_str())
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    let hashed = Passwords::new().hash(password).await;
    Ok(User {
        id: UserId(uuid::Uuid::now_v7().to_string()),
        username,
        password_hash: hashed.map_err(|cause| Failure::new(cause.to_string()))?,
        password_version: 1,
        claims: CustomClaims::default(),
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: now,
    })
}
