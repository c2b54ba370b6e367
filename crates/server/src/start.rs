use std::sync::Arc;

use actix_web::web;
use attesto_core::{Actor, Authority, ClientId, Event, KeyRecord};
use attesto_keyring::{KekError, KeyEncryptionKeys, Keyring, KeyringError, SelfTestFailed};
use attesto_store::{ClientSettings, OpenError, ServerLock, Store, StoreError};
use attesto_verifier::BuildError;

use crate::app::{App, Stopping};
use crate::clock::Clock;
use crate::config::{ConfigError, Settings};
use crate::issuer::Issuer;
use crate::keys::Keys;
use crate::password::Passwords;
use crate::proxies::TrustedProxies;
use crate::tokens::Tokens;

/// Why the server does not start. One line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of a key-encryption key cannot be used.
    #[error("key_encryption_keys: {0}")]
    Kek(#[from] KekError),
    /// The keys do not open.
    #[error("key_encryption_keys: {0}; nothing was changed")]
    Keyring(#[from] KeyringError),
    /// The issuer is not the one of the first start.
    #[error("issuer: is {configured}, and the tokens of this database say {stored}; it cannot be changed")]
    OtherIssuer {
        /// In the configuration.
        configured: String,
        /// In the database.
        stored: String,
    },
    /// The database was never set up.
    #[error("this database was not set up yet; run `attesto init`")]
    NotInitialised,
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Cryptography does not work here.
    #[error(transparent)]
    SelfTest(#[from] SelfTestFailed),
    /// The authority's own keys cannot be used for checking.
    #[error("the keys cannot be used: {0}")]
    Verifier(#[from] BuildError),
    /// The JWK Set cannot be written.
    #[error("the JWK Set cannot be written: {0}")]
    JwkSet(#[from] serde_json::Error),
    /// The socket cannot be used.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

impl StartError {
    /// Whether the remedy lies in the configuration (`EX_CONFIG`).
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Kek(_) | Self::Keyring(_) | Self::OtherIssuer { .. })
    }
}

/// Opens everything that a server needs. Nothing is changed, and nothing is locked, before it is certain that the keys
/// open and that this is the right database.
pub async fn open(settings: &Settings, clock: Clock) -> Result<(web::Data<App>, ServerLock), StartError> {
    attesto_keyring::self_test()?;
    let store = Store::open(&settings.database)?;
    let (authority, records) = read_facts(&store).await?;
    if authority.issuer != settings.issuer {
        return Err(StartError::OtherIssuer {
            configured: settings.issuer.clone(),
            stored: authority.issuer,
        });
    }
    let sealing = KeyEncryptionKeys::read(&settings.key_encryption_keys)?;
    let keyring = Keyring::open(&records, &sealing, &authority.id)?;

    let lock = ServerLock::acquire(&settings.database)?;
    store.migrate().await?;
    apply(&store, settings, &clock).await?;

    let tokens = Tokens::new(&settings.issuer, &keyring.verifying(), &clock)?;
    let keys = Keys::new(keyring)?;
    let app = App {
        url: settings.issuer.clone(),
        issuer: Issuer::new(settings.issuer.clone(), Arc::clone(&keys.keyring)),
        keys,
        tokens,
        store,
        passwords: Passwords::new(),
        policy: settings.policy,
        throttle: settings.throttle,
        proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
        clock,
        stopping: Stopping::default(),
    };
    Ok((web::Data::new(app), lock))
}

async fn read_facts(store: &Store) -> Result<(Authority, Vec<KeyRecord>), StartError> {
    let facts = store.read(|tx| Ok((tx.find_authority()?, tx.list_keys()?))).await?;
    match facts {
        (Some(authority), records) => Ok((authority, records)),
        (None, _) => Err(StartError::NotInitialised),
    }
}

/// Writes ahead what the settings bring with them: the bound on access-token life, before the first token that needs
/// it, and the settings of the client `simplejwt`.
async fn apply(store: &Store, settings: &Settings, clock: &Clock) -> Result<(), StoreError> {
    let lifetime = settings.policy.access_lifetime;
    let wanted = ClientSettings {
        audience: settings.simplejwt.audience.clone(),
        scope: settings.simplejwt.scope.clone(),
        rotates: settings.simplejwt.rotates,
        grace_interval: None,
    };
    let id = ClientId::simplejwt();
    let event = attesto_core::AuditEvent::new(Event::ClientChanged, Actor::Server, clock.now())
        .client(&id)
        .note("as configured");
    store
        .write(move |tx| {
            tx.raise_longest_access_lifetime(lifetime)?;
            let client = tx.find_client(&id)?;
            if client.is_some_and(|client| ClientSettings::of(&client) != wanted) {
                tx.set_client(&id, &wanted, &event)?;
            }
            Ok(())
        })
        .await
}
