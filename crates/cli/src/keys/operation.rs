use attesto_core::{
    Guards, Instant, KeyChange, KeyFacts, KeyMoves, KeyRecord, KeyRefusal, KeyState, KeyTable,
};
use attesto_keyring::Keyring;
use attesto_server::config::Settings;
use attesto_server::{KeyError, KeyKeeper};
use attesto_store::Store;
use serde_json::{Value, json};

use super::reason::Why;
use super::refusal;
use super::servers::Servers;
use crate::context::{Place, now, operator};
use crate::failure::Failure;
use crate::output::{Output, say};

/// What a command needs that works with opened keys.
pub struct Operation {
    pub store: Store,
    pub settings: Settings,
    pub keeper: KeyKeeper,
    pub output: Output,
}

impl Operation {
    /// Reads the settings and the key-encryption keys, and opens the database.
    pub async fn begin(place: &Place, output: Output) -> Result<Self, Failure> {
        let settings = place.settings()?;
        let store = Place::open(&settings).await?;
        let keeper = attesto_server::keeper(&store, &settings).await?;
        Ok(Self { store, settings, keeper, output })
    }

    /// The keys, opened and proved.
    pub async fn read(&self) -> Result<(Keyring, KeyFacts), Failure> {
        Ok(self.keeper.read().await?)
    }

    /// The guards' answers for what was read.
    pub fn guards<'a>(&'a self, facts: &'a KeyFacts) -> Guards<'a> {
        Guards { policy: self.keeper.policy(), facts }
    }

    /// Changes keys as `decide` says, in the operator's name.
    pub async fn change<F>(&self, why: &Why, decide: F) -> Result<KeyChange, Failure>
    where
        F: Fn(&KeyTable, Guards<'_>, Instant) -> Result<KeyMoves, KeyRefusal>,
    {
        let decide = |table: &KeyTable, guards: Guards<'_>, now| decide(table, guards, now).map(Some);
        match self.keeper.change(decide, &operator(), &why.reason).await {
            Ok(Some(change)) => Ok(change),
            Ok(None) => Err(Failure::new("there was nothing to change")),
            Err(KeyError::Refused(refusal)) => self.refuse(&refusal),
            Err(other) => Err(other.into()),
        }
    }

    fn refuse<T>(&self, refusal: &KeyRefusal) -> Result<T, Failure> {
        let failure = refusal::failure(refusal, now());
        if let Some(waiting) = refusal::waiting(refusal).filter(|_| self.output.json) {
            self.output.done("", &waiting)?;
        }
        Err(failure)
    }

    /// Says what happened to `kid` and to the keys that moved with it, waits for the running servers, and says which
    /// of them have it. `remark` and `more` are what else there is to say.
    pub async fn answer(
        &self,
        kid: &str,
        change: &KeyChange,
        remark: &str,
        more: Value,
    ) -> Result<(), Failure> {
        if !self.output.json {
            say(&format!("{}{remark}", sentence(&change.rows)))?;
        }
        let servers = Servers::wait_for(&self.keeper, change.ledger.version).await.map_err(|cause| {
            Failure::new(format!("it is done, and whether the running servers have it is not known: {cause}"))
        })?;
        self.require_kept(change).await?;
        let mut object = json!({
            "done": true,
            "kid": kid,
            "keys": change.rows.iter().map(|key| json!({"kid": key.kid, "state": key.state.as_str()})).collect::<Value>(),
            "servers": servers.to_json(),
        });
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        self.output.done(&servers.sentence(), &object)
    }
}

impl Operation {
    /// Somebody who has the database can put old rows back right after the change; then it is not done.
    async fn require_kept(&self, change: &KeyChange) -> Result<(), Failure> {
        let (keyring, _) = self.read().await?;
        let leaked = |kid: &String| keyring.is_compromised(kid);
        if keyring.version() >= change.ledger.version && change.ledger.compromised.iter().all(leaked) {
            return Ok(());
        }
        Err(Failure::new(
            "the change was written, and somebody put the old rows back; find out who writes to the database, and repeat it",
        ))
    }
}

/// What became of each key.
fn sentence(rows: &[KeyRecord]) -> String {
    let clauses: Vec<_> = rows.iter().map(|key| format!("{} {}", key.kid, became(key))).collect();
    format!("Key {}.", clauses.join(", key "))
}

fn became(key: &KeyRecord) -> &'static str {
    match key.state {
        KeyState::Staged => "is staged",
        KeyState::Active => "signs from now on",
        KeyState::Retiring => "is retiring",
        KeyState::Retired => "left the JWK Set",
        KeyState::Compromised if key.destroyed_at.is_none() => "is declared leaked",
        KeyState::Destroyed | KeyState::Compromised => "has no private half any more",
    }
}
