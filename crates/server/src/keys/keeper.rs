use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use attesto_core::{
    Actor, AuditEvent, Authority, Event, Guards, Instant, KeyChange, KeyFacts, KeyMoves, KeyPolicy,
    KeyRecord, KeyRefusal, KeyState, KeyTable, Line, ServerReport,
};
use attesto_keyring::{ImportAs, ImportedKey, KeyEncryptionKeys, Keyring, KeyringError, NewKey, RsaBits};
use attesto_store::{Changed, Store, StoreError, Write};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::clock::Clock;

/// Changes keys, for operators and for the schedule: read, decide, authenticate, write. Of many who try the same at
/// once one succeeds, and the others decide again on what that one left.
#[derive(Clone)]
pub struct KeyKeeper {
    store: Store,
    keks: Arc<KeyEncryptionKeys>,
    authority: Authority,
    policy: KeyPolicy,
    rsa_bits: RsaBits,
    clock: Clock,
    /// The latest table that has proved to be genuine, for all clones: what does not follow it was put back.
    known: Arc<Mutex<Option<Arc<KeyTable>>>>,
}

/// Why keys did not change. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The rules do not allow it.
    #[error("refused: {0:?}")]
    Refused(KeyRefusal),
    /// The rows are not as they have to be.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys are older than those that this server has loaded.
    #[error(
        "the database holds version {stored} of the signing keys, which does not follow version {loaded} that is in use; \
         restore the newer database, or restart the server if it was replaced on purpose"
    )]
    WentBack {
        /// In use.
        loaded: i64,
        /// In the database.
        stored: i64,
    },
    /// The rows are right, and the server can do nothing with them.
    #[error("the keys cannot be used: {0}")]
    Unusable(String),
    /// A task of ours was cancelled.
    #[error("a task was cancelled")]
    Cancelled,
    /// Others changed the keys at every attempt.
    #[error("the keys kept changing; try again")]
    Contended,
}

/// Others who change keys at the same time leave something to decide on; a dozen in a row is no coincidence.
const ATTEMPTS: usize = 12;

/// A change that is not ready to be written within this time, or not written within it then, is decided again.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

impl KeyKeeper {
    /// For the keys of `authority` in `store`.
    pub fn new(
        store: Store,
        keks: Arc<KeyEncryptionKeys>,
        authority: Authority,
        policy: KeyPolicy,
        rsa_bits: RsaBits,
        clock: Clock,
    ) -> Self {
        Self { store, keks, authority, policy, rsa_bits, clock, known: Arc::default() }
    }

    /// The terms of the guards.
    pub fn policy(&self) -> &KeyPolicy {
        &self.policy
    }

    /// The key-encryption keys at hand.
    pub fn keks(&self) -> &KeyEncryptionKeys {
        &self.keks
    }

    /// The keys, opened and proved, and what their guards go by.
    pub async fn read(&self) -> Result<(Keyring, KeyFacts), KeyError> {
        // As of now: another reader may see a later table before this one is opened, which this one need not follow.
        let known = self.known().clone();
        let (table, facts) = self.store.read(|tx| Ok((tx.find_key_table()?, tx.find_key_facts()?))).await?;
        let (keks, authority) = (Arc::clone(&self.keks), self.authority.id.clone());
        let opened = spawn_blocking(move || Keyring::open(table, &keks, &authority)).await;
        let keyring = opened.map_err(|_| KeyError::Cancelled)??;
        self.know(known.as_deref(), keyring.table())?;
        Ok((keyring, facts))
    }

    /// What was true once and is no more is refused: a copy of the database in its place, or an old ledger with its
    /// rows, also if somebody built on it since.
    fn know(&self, known: Option<&KeyTable>, table: &KeyTable) -> Result<(), KeyError> {
        let version = |table: &KeyTable| table.ledger.as_ref().map_or(0, |ledger| ledger.version);
        if let Some(known) = known.filter(|known| !table.follows(known)) {
            return Err(KeyError::WentBack { loaded: version(known), stored: version(table) });
        }
        let mut latest = self.known();
        if latest.as_ref().is_none_or(|latest| table.follows(latest)) {
            *latest = Some(Arc::new(table.clone()));
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<KeyTable>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something stands on the timetable, by the rows as they are: cheap enough to ask all the time. Whoever
    /// acts on it decides again on rows that have proved to be genuine.
    pub async fn is_due(&self) -> Result<bool, KeyError> {
        let (table, facts) = self.store.read(|tx| Ok((tx.find_key_table()?, tx.find_key_facts()?))).await?;
        let guards = Guards { policy: &self.policy, facts: &facts };
        Ok(table.due(guards, self.clock.now()).is_some())
    }

    /// Changes keys as `decide` says, and records who wanted it and why. Gives what was written; `None` if nothing had
    /// to be.
    pub async fn change<F>(
        &self,
        decide: F,
        actor: &Actor,
        reason: &str,
    ) -> Result<Option<KeyChange>, KeyError>
    where
        F: Fn(&KeyTable, Guards<'_>, Instant) -> Result<Option<KeyMoves>, KeyRefusal>,
    {
        let mut spare = Vec::new();
        for _ in 0..ATTEMPTS {
            let (keyring, facts) = self.read().await?;
            let guards = Guards { policy: &self.policy, facts: &facts };
            let decided_at = self.clock.now();
            let decided = decide(keyring.table(), guards, decided_at).map_err(KeyError::Refused)?;
            let Some(moves) = decided else { return Ok(None) };
            spare = self.make(&moves, spare, actor).await?;
            // Read again: a new key is published from now on, however long it took to make.
            let now = self.clock.now();
            if now.since(decided_at) > LONGEST_WRITE {
                // The old key signed meanwhile, and must not bear an earlier instant as its last.
                continue;
            }
            let now = facts.not_before_seen(now);
            let change = keyring.change(moves, &spare, now)?;
            let events = events(&change, keyring.table(), Event::KeyGenerated, actor, reason, now);
            if self.write(&change, events).await? == Changed::Yes {
                return Ok(Some(change));
            }
        }
        Err(KeyError::Contended)
    }

    /// A key for each that `moves` asks for. What a lost race left over is used first.
    async fn make(
        &self,
        moves: &KeyMoves,
        mut spare: Vec<NewKey>,
        actor: &Actor,
    ) -> Result<Vec<NewKey>, KeyError> {
        let mut made = Vec::new();
        for (line, _) in &moves.to_make {
            made.push(match spare.iter().position(|new| new.line() == *line) {
                Some(at) => spare.swap_remove(at),
                None => self.make_one(*line, actor).await?,
            });
        }
        Ok(made)
    }

    /// Making a key takes long, and no request waits for it, nor for the processor while the schedule has one made. An
    /// operator does not wait for requests.
    async fn make_one(&self, line: Line, actor: &Actor) -> Result<NewKey, KeyError> {
        let (rsa_bits, has_time) = (self.rsa_bits, *actor == Actor::Server);
        let (done, made) = oneshot::channel();
        // Of its own: a thread that has stepped back may not come forward again.
        let thread = thread::Builder::new().name("make-key".to_owned()).spawn(move || {
            if has_time {
                step_back();
            }
            let _ = done.send(NewKey::make(line, rsa_bits));
        });
        thread.map_err(|_| KeyError::Cancelled)?;
        Ok(made.await.map_err(|_| KeyError::Cancelled)??)
    }

    /// Takes in a key that somebody else made.
    pub async fn import(
        &self,
        key: ImportedKey,
        role: ImportAs,
        actor: &Actor,
        reason: &str,
    ) -> Result<KeyChange, KeyError> {
        for _ in 0..ATTEMPTS {
            let (keyring, facts) = self.read().await?;
            let now = facts.not_before_seen(self.clock.now());
            let change = keyring.import(&key, role, now)?;
            let events = events(&change, keyring.table(), Event::KeyImported, actor, reason, now);
            if self.write(&change, events).await? == Changed::Yes {
                return Ok(change);
            }
        }
        Err(KeyError::Contended)
    }

    /// Renews the next row under the first key-encryption key; says how many are left, or `None` if there was nothing
    /// to do.
    pub async fn rewrap_next(&self, actor: &Actor, reason: &str) -> Result<Option<usize>, KeyError> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let (keyring, _) = self.read().await?;
            let Some(change) = keyring.rewrap()? else { return Ok(None) };
            let left = keyring.rows_to_rewrap() - change.rows.len();
            let event = AuditEvent::new(Event::KeyRewrapped, actor.clone(), now).note(reason);
            let events = match change.rows.first() {
                Some(row) => vec![event.key(&row.kid)],
                None => vec![event],
            };
            if self.write(&change, events).await? == Changed::Yes {
                return Ok(Some(left));
            }
        }
        Err(KeyError::Contended)
    }

    /// The servers that run, as far as they said.
    pub async fn live_servers(&self) -> Result<Vec<ServerReport>, KeyError> {
        let now = self.clock.now();
        let servers = self.store.read(|tx| tx.list_servers()).await?;
        Ok(servers.into_iter().filter(|server| server.is_live(now)).collect())
    }

    /// Waits until every running server has loaded `version` of the keys, for as long as one may be behind; gives
    /// those that have not.
    pub async fn wait_for_servers(&self, version: i64) -> Result<Vec<ServerReport>, KeyError> {
        const AGAIN: Duration = Duration::from_millis(100);
        let patience = tokio::time::Instant::now() + self.policy.confirmation_interval;
        loop {
            let mut behind = self.live_servers().await?;
            behind.retain(|server| server.key_version < version);
            if behind.is_empty() || tokio::time::Instant::now() >= patience {
                return Ok(behind);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn write(&self, change: &KeyChange, events: Vec<AuditEvent>) -> Result<Changed, StoreError> {
        let change = change.clone();
        let decided = std::time::Instant::now();
        let write = move |tx: &mut Write<'_>| {
            // What is published from an instant on has to be there soon after it.
            if decided.elapsed() > LONGEST_WRITE {
                Ok(Changed::LostRace)
            } else {
                tx.change_keys(&change, &events)
            }
        };
        self.store.write(write).await
    }
}

/// Leaves the calling thread a tenth of a processor that others want as well: at the lowest priority of all, a key
/// would take minutes. `docs/performance.md` has the figures.
#[cfg(target_os = "linux")]
fn step_back() {
    // Where it is not allowed, the key is made all the same.
    let _ = rustix::process::nice(10);
}

/// Elsewhere a priority belongs to the whole process.
#[cfg(not(target_os = "linux"))]
fn step_back() {}

/// One event per row, named by what became of it.
fn events(
    change: &KeyChange,
    before: &KeyTable,
    new: Event,
    actor: &Actor,
    reason: &str,
    now: Instant,
) -> Vec<AuditEvent> {
    let event = |row: &KeyRecord| {
        let event = if before.find(&row.kid).is_none() { new } else { became(row) };
        AuditEvent::new(event, actor.clone(), now).key(&row.kid).note(reason)
    };
    change.rows.iter().map(event).collect()
}

fn became(row: &KeyRecord) -> Event {
    match row.state {
        KeyState::Staged => Event::KeyGenerated,
        KeyState::Active => Event::KeyPromoted,
        KeyState::Retiring => Event::KeyDemoted,
        KeyState::Retired => Event::KeyRetired,
        KeyState::Destroyed => Event::KeyDestroyed,
        KeyState::Compromised if row.destroyed_at.is_some() => Event::KeyDestroyed,
        KeyState::Compromised => Event::KeyCompromised,
    }
}
