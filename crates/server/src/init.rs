//! The first start: a key-encryption key, a database, the first keys, the first clients and user.

use std::path::Path;

use attesto_core::{
    Actor, AuditEvent, Authority, AuthorityId, Client, ClientId, ClientKind, Event, Feed, Instant, Line,
    User, Watermark,
};
use attesto_keyring::{KeyEncryptionKey, KeyEncryptionKeys, first_keys, random_id, random_salt};
use attesto_store::{Changed, DatabaseUrl, OpenError, ServerLock, Store, StoreError};

use crate::config::Settings;
use crate::start::StartError;

/// What the database begins with, besides its keys and the client `simplejwt`.
pub struct Beginning {
    /// The first user.
    pub user: User,
    /// Further clients.
    pub clients: Vec<Client>,
}

/// Whether there is something to do.
pub enum Found {
    /// No database, or one that an interrupted start left empty.
    Nothing,
    /// A database that was set up.
    Initialised {
        /// Its issuer.
        issuer: String,
    },
}

/// Looks, and changes nothing.
pub async fn find(settings: &Settings) -> Result<Found, StartError> {
    let store = match Store::open(&settings.database) {
        Ok(store) => store,
        Err(OpenError::Absent(_)) => return Ok(Found::Nothing),
        Err(other) => return Err(other.into()),
    };
    match store.read(|tx| tx.find_issuer()).await? {
        Some(issuer) => Ok(Found::Initialised { issuer }),
        None if store.read(|tx| tx.is_unused()).await? => Ok(Found::Nothing),
        None => Err(StartError::AuthorityTakenAway),
    }
}

/// Sets everything up, in one transaction after the files are there. An interrupted start is simply repeated; a
/// database that was set up before is never touched. The lock says that nobody else does it on the same file at the same
/// time; of those that do it on one PostgreSQL database, one does.
pub async fn initialise(
    _lock: &ServerLock,
    settings: &Settings,
    beginning: Beginning,
    actor: Actor,
    now: Instant,
) -> Result<(), StartError> {
    let sealing = read_or_create_keks(settings)?;
    let store = open_or_create(&settings.database).await?;
    let authority = Authority {
        id: AuthorityId(random_id()),
        issuer: settings.issuer.clone(),
        longest_access_lifetime: settings.policy.access_lifetime,
        longest_refresh_lifetime: settings.policy.absolute_lifetime,
        longest_jwks_lifetime: settings.jwks.lifetime(),
        latest_seen_at: None,
    };
    let keys = first_keys(&sealing, &authority.id, &lines(settings), settings.rsa_key_bits, now)?;
    let feed = Feed { epoch: now, salt: random_salt() };
    let clients: Vec<Client> =
        std::iter::once(simplejwt_client(settings, now)).chain(beginning.clients).collect();
    let user = beginning.user;
    let written = store
        .write(move |tx| {
            let event = |event| AuditEvent::new(event, actor.clone(), now);
            tx.insert_authority(&authority)?;
            tx.begin_feed(&feed)?;
            tx.record(&event(Event::Initialised))?;
            let made =
                keys.rows.iter().map(|key| event(Event::KeyGenerated).key(&key.kid).note("first start"));
            if tx.change_keys(&keys, &made.collect::<Vec<_>>())? == Changed::LostRace {
                return Err(StoreError::Inconsistent {
                    table: "key_ledger",
                    column: "version",
                    row: "1".to_owned(),
                });
            }
            for client in &clients {
                tx.insert_client(client, &event(Event::ClientAdded).client(&client.id))?;
            }
            tx.insert_user(&user, &event(Event::UserAdded).user(&user.id))
        })
        .await;
    match written {
        Ok(_) => Ok(()),
        Err(cause) => Err(already_initialised(settings).await.unwrap_or(cause.into())),
    }
}

/// On PostgreSQL somebody else can be first: then nothing was written here, and the other is done.
async fn already_initialised(settings: &Settings) -> Option<StartError> {
    match find(settings).await {
        Ok(Found::Initialised { issuer }) => Some(StartError::AlreadyInitialised { issuer }),
        _ => None,
    }
}

/// The client that the SimpleJWT endpoints issue for.
fn simplejwt_client(settings: &Settings, now: Instant) -> Client {
    let simplejwt = &settings.simplejwt;
    Client {
        id: ClientId::simplejwt(),
        kind: ClientKind::Public,
        redirect_uris: Vec::new(),
        audience: simplejwt.audience.clone(),
        scope: simplejwt.scope.clone(),
        rotates: simplejwt.rotates,
        grace_interval: None,
        access_token_algorithm: None,
        refresh_token_algorithm: None,
        disabled_at: None,
        watermark: Watermark::default(),
        created_at: now,
    }
}

/// The first file is made if it is not there; there is no database yet that it could have to open.
fn read_or_create_keks(settings: &Settings) -> Result<KeyEncryptionKeys, StartError> {
    let files = &settings.key_encryption_keys;
    if let Some(first) = files.first().filter(|file| !Path::new(file).exists()) {
        KeyEncryptionKey::create(first)?;
    }
    Ok(KeyEncryptionKeys::read(files)?)
}

async fn open_or_create(url: &DatabaseUrl) -> Result<Store, StartError> {
    match Store::create(url).await {
        Err(OpenError::Exists(_)) => {
            let store = Store::open(url)?;
            // An earlier start may have been interrupted between two migrations.
            store.migrate().await?;
            Ok(store)
        }
        outcome => Ok(outcome?),
    }
}

/// The lines of keys that the configured algorithms need, and that of the revocation feed.
fn lines(settings: &Settings) -> Vec<Line> {
    let (access, refresh) = (settings.policy.access_token_algorithm, settings.policy.refresh_token_algorithm);
    let mut lines = vec![Line::of_tokens(access), Line::of_tokens(refresh)];
    lines.dedup();
    lines.push(Line::of_feed());
    lines
}
