use std::sync::Arc;
use std::time::Instant;

use actix_web::web;
use attesto_core::{Actor, AuditEvent, Authority, ClientId, Event, Guards, KeyTable, Line, SigningAlgorithm};
use attesto_keyring::{
    KekError, KeyEncryptionKeys, Keyring, KeyringError, SelfTestFailed, begin_ledger, random_id, random_salt,
};
use attesto_store::{Bounds, ClientSettings, DatabaseUrl, OpenError, ServerLock, Store, StoreError};
use attesto_verifier::BuildError;

use crate::admission::Admission;
use crate::app::{App, Stopping};
use crate::audit::AuditChain;
use crate::clock::Clock;
use crate::config::{ConfigError, Settings};
use crate::feed::Feed;
use crate::issuer::Issuer;
use crate::keys::{KeyError, KeyKeeper, Keys, LoadedKeys, SignerLayer};
use crate::metrics::{Counts, Sampled};
use crate::password::Passwords;
use crate::proxies::TrustedProxies;
use crate::tls::{Tls, TlsError};

/// Why the server does not start. One line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of a key-encryption key cannot be used.
    #[error("key_encryption_keys: {0}")]
    Kek(#[from] KekError),
    /// Certificate or key of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys do not open.
    #[error("key_encryption_keys: {0}; nothing was changed")]
    Keyring(#[from] KeyringError),
    /// The issuer is not the one of the first start.
    #[error("issuer: is {configured}, and the tokens of this database say {stored:?}; it cannot be changed")]
    OtherIssuer {
        /// In the configuration.
        configured: String,
        /// In the database.
        stored: String,
    },
    /// Nothing signs with a configured algorithm.
    #[error(
        "{setting}: is {algorithm}, and no {algorithm} key signs; run `attesto keys stage --algorithm {algorithm}`, then `attesto keys rotate --algorithm {algorithm}` when it allows, and set it afterwards"
    )]
    NoActiveKey {
        /// The setting.
        setting: &'static str,
        /// Its value.
        algorithm: SigningAlgorithm,
    },
    /// The keys cannot be read, for another reason than that they do not open.
    #[error(transparent)]
    Keys(KeyError),
    /// The database was set up, and somebody removed what says so.
    #[error(
        "the row of the table authority was taken away, and keys, clients or users are there; restore the database from a backup (nothing was changed)"
    )]
    AuthorityTakenAway,
    /// The database was never set up.
    #[error("this database was not set up yet; run `attesto init`")]
    NotInitialised,
    /// Somebody else set the database up meanwhile.
    #[error("the database was set up meanwhile, for {issuer}; nothing was changed")]
    AlreadyInitialised {
        /// For what.
        issuer: String,
    },
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

impl From<KeyError> for StartError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Keyring(error) => Self::Keyring(error),
            KeyError::Store(error) => Self::Store(error),
            other => Self::Keys(other),
        }
    }
}

impl StartError {
    /// Whether the remedy lies in the configuration (`EX_CONFIG`).
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Kek(_)
                | Self::Tls(_)
                | Self::Keyring(_)
                | Self::OtherIssuer { .. }
                | Self::NoActiveKey { .. }
        )
    }
}

/// What a server takes from outside besides its settings.
#[derive(Clone)]
pub struct Environment {
    /// Where `now` comes from.
    pub clock: Clock,
    /// What stands between private keys and those who sign with them.
    pub signers: SignerLayer,
}

impl Environment {
    /// The clock of this machine, and keys that sign by themselves.
    pub fn system() -> Self {
        Self { clock: Clock::system(), signers: Arc::new(|signer| signer) }
    }
}

/// Opens everything that a server needs. Apart from the schema, nothing is changed before it is certain that the keys
/// open and that this is the right database.
pub async fn open(
    settings: &Settings,
    environment: Environment,
) -> Result<(web::Data<App>, ServerLock), StartError> {
    let Environment { clock, signers } = environment;
    attesto_keyring::self_test()?;
    let tls = settings.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
    let store = Store::open(&settings.database)?;
    let clock = clock.of(&store).await?;
    require_issuer(&store, settings).await?;
    let sealing = Arc::new(KeyEncryptionKeys::read(&settings.key_encryption_keys)?);
    let lock = ServerLock::acquire(&settings.database)?;
    let store = open_again(store, settings)?;
    store.prepare().await?;
    begin_key_ledger(&store, &sealing, &clock).await?;
    let read_at = Instant::now();
    let keeper = keeper_of(&store, Arc::clone(&sealing), settings, &clock).await?;
    begin_feed(&store, &keeper, &clock).await?;
    let (keyring, _) = keeper.read().await?;
    require_algorithms(&keyring, settings)?;
    apply(&store, settings, &clock).await?;

    // Read again: the bounds that were just raised belong to the guards.
    let facts = store.read(|tx| tx.find_key_facts()).await?;
    let guards = Guards { policy: &settings.keys, facts: &facts };
    let layered = keyring.layered(|signer| signers(signer));
    let loaded = LoadedKeys::new(layered, &settings.issuer, guards, &clock)?;
    let keys = Arc::new(Keys::new(loaded, read_at, settings.keys.confirmation_interval, signers));
    let app = App {
        url: settings.issuer.clone(),
        issuer: Issuer::new(settings.issuer.clone(), store.clone(), Arc::clone(&keys)),
        renewals: Admission::new(),
        keys,
        feed: Feed::open(&store, &clock).await?,
        audit: AuditChain::new(store.clone(), sealing, authority(&store).await?.id),
        feed_requires_token: settings.feed_requires_token,
        keeper,
        jwks_cache_control: settings.jwks.cache_control(),
        store,
        passwords: Passwords::new(),
        policy: settings.policy,
        throttle: settings.throttle,
        proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
        metrics_from: settings.metrics_from.clone(),
        counts: Counts::new(),
        sampled: Sampled::default(),
        tls,
        clock,
        stopping: Stopping::default(),
        server_id: random_id(),
    };
    Ok((web::Data::new(app), lock))
}

/// Changes keys beside a server, or without one.
pub async fn keeper(store: &Store, settings: &Settings) -> Result<KeyKeeper, StartError> {
    require_issuer(store, settings).await?;
    let keks = Arc::new(KeyEncryptionKeys::read(&settings.key_encryption_keys)?);
    keeper_of(store, keks, settings, &Clock::system().of(store).await?).await
}

/// Whoever had the lock before may have put another file in the place of the one that was opened.
fn open_again(store: Store, settings: &Settings) -> Result<Store, StartError> {
    match settings.database {
        DatabaseUrl::Sqlite(_) => Ok(Store::open(&settings.database)?),
        DatabaseUrl::Postgres(_) => Ok(store),
    }
}

/// Works with the chain of the audit beside a server, or without one.
pub async fn audit_chain(store: &Store, settings: &Settings) -> Result<AuditChain, StartError> {
    require_issuer(store, settings).await?;
    let keks = Arc::new(KeyEncryptionKeys::read(&settings.key_encryption_keys)?);
    Ok(AuditChain::new(store.clone(), keks, authority(store).await?.id))
}

async fn keeper_of(
    store: &Store,
    keks: Arc<KeyEncryptionKeys>,
    settings: &Settings,
    clock: &Clock,
) -> Result<KeyKeeper, StartError> {
    let authority = authority(store).await?;
    Ok(KeyKeeper::new(store.clone(), keks, authority, settings.keys, settings.rsa_key_bits, clock.clone()))
}

async fn authority(store: &Store) -> Result<Authority, StartError> {
    store.read(|tx| tx.find_authority()).await?.ok_or(StartError::NotInitialised)
}

async fn require_issuer(store: &Store, settings: &Settings) -> Result<(), StartError> {
    let stored = store.read(|tx| tx.find_issuer()).await?.ok_or(StartError::NotInitialised)?;
    if stored == settings.issuer {
        return Ok(());
    }
    Err(StartError::OtherIssuer { configured: settings.issuer.clone(), stored })
}

/// A database from before there were ledgers gets one.
async fn begin_key_ledger(
    store: &Store,
    keks: &Arc<KeyEncryptionKeys>,
    clock: &Clock,
) -> Result<(), StartError> {
    let table = store.read(|tx| tx.find_key_table()).await?;
    if table.ledger.is_some() || table.keys.is_empty() {
        return Ok(());
    }
    let change = begin_ledger(&table, keks, &authority(store).await?.id)?;
    let event = AuditEvent::new(Event::LedgerBegun, Actor::Server, clock.now());
    store.write(move |tx| tx.change_keys(&change, std::slice::from_ref(&event))).await?;
    Ok(())
}

/// A database from before there was a feed gets one, and keys for it.
async fn begin_feed(store: &Store, keeper: &KeyKeeper, clock: &Clock) -> Result<(), StartError> {
    let line = Line::of_feed();
    let begin = |table: &KeyTable, _: Guards<'_>, _| {
        let is_there = table.keys.iter().any(|key| key.line() == line);
        Ok((!is_there).then(|| KeyTable::begin(line)))
    };
    keeper.change(begin, &Actor::Server, "the revocation feed begins").await?;
    let feed = attesto_core::Feed { epoch: clock.now(), salt: random_salt() };
    Ok(store.write(move |tx| tx.begin_feed(&feed)).await?)
}

/// A server that could not sign what it is configured for does not start.
fn require_algorithms(keyring: &Keyring, settings: &Settings) -> Result<(), StartError> {
    for (setting, algorithm) in [
        ("access_token_algorithm", settings.policy.access_token_algorithm),
        ("refresh_token_algorithm", settings.policy.refresh_token_algorithm),
    ] {
        if keyring.active(Line::of_tokens(algorithm)).is_none() {
            return Err(StartError::NoActiveKey { setting, algorithm });
        }
    }
    Ok(())
}

/// Writes ahead what the settings bring with them: the bounds, before the first token or answer that needs them, and
/// the settings of the client `simplejwt`.
async fn apply(store: &Store, settings: &Settings, clock: &Clock) -> Result<(), StoreError> {
    let bounds = Bounds {
        access_lifetime: settings.policy.access_lifetime,
        refresh_lifetime: settings.policy.absolute_lifetime,
        jwks_lifetime: settings.jwks.lifetime(),
    };
    let wanted = ClientSettings {
        audience: settings.simplejwt.audience.clone(),
        scope: settings.simplejwt.scope.clone(),
        rotates: settings.simplejwt.rotates,
        grace_interval: None,
    };
    let id = ClientId::simplejwt();
    let event =
        AuditEvent::new(Event::ClientChanged, Actor::Server, clock.now()).client(&id).note("as configured");
    store
        .write(move |tx| {
            let client = tx.find_client(&id)?;
            if client.is_some_and(|client| ClientSettings::of(&client) != wanted) {
                tx.set_client(&id, &wanted, &event)?;
            }
            tx.raise_bounds(bounds)
        })
        .await
}
