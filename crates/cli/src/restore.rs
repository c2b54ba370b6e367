mod before;
mod keys;
mod leaks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use attesto_core::{AuditPlace, Event, Feed, Haste, Instant, KeyRefusal, KeyTable, ServerReport};
use attesto_keyring::{KeyEncryptionKeys, random_salt};
use attesto_server::config::Settings;
use attesto_server::{KeyError, KeyKeeper, StartError};
use attesto_store::{DatabaseUrl, Restoration, ServerLock, Store};
use clap::Args;
use serde_json::json;

use before::Before;
use leaks::Leaks;

use crate::context::{Place, event, go_by_clock_of, now, operator};
use crate::failure::Failure;
use crate::input;
use crate::keys::reason::Why;
use crate::output::{Output, in_words, rfc3339, say, until};

/// Put a copy of the database back, so that nothing that was ended since the copy works again
///
/// With a file that `attesto backup` made, for SQLite: stop the server first. The database that was there is kept under another
/// name. Without a file: after `pg_restore`, or after the database was put back in any other way, and before the first server
/// starts.
///
/// All sessions end, and another revocation feed begins. A staged key signs from now on wherever one has signed before. What was
/// declared leaked since the copy is declared leaked again, as far as the database that was there can be read. Users, passwords
/// and clients are those of the copy.
#[derive(Args)]
pub struct Restore {
    /// The copy; it stays as it is
    file: Option<PathBuf>,
    #[command(flatten)]
    leaks: Leaks,
    /// End no session: those that were ended since the copy are alive again, and refresh tokens of then work once more
    #[arg(long)]
    keep_sessions: bool,
    /// Let the staged keys sign even if verifiers may not know them yet
    #[arg(long)]
    emergency: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    why: Why,
}

/// What became of the copy.
struct FollowedUp {
    epoch: Instant,
    /// As they are in the copy.
    copied: KeyTable,
    /// As they are now.
    keys: KeyTable,
}

impl Restore {
    /// Runs the command.
    pub async fn run(self, place: &Place, output: Output) -> Result<(), Failure> {
        let settings = place.settings()?;
        // Nothing can be said of any database without them.
        KeyEncryptionKeys::read(&settings.key_encryption_keys).map_err(StartError::from)?;
        self.confirm(&settings)?;
        match &self.file {
            Some(copy) => self.replace(&settings, copy, output).await,
            None => self.take_over(&settings, output).await,
        }
    }

    fn confirm(&self, settings: &Settings) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let database = &settings.database;
        let replaces = match &self.file {
            Some(copy) => format!("This puts {} in the place of {database}", copy.display()),
            None => format!("This takes {database} for an old copy"),
        };
        let sessions =
            if self.keep_sessions { "revives sessions that were ended since" } else { "signs everybody out" };
        input::confirm(&format!("{replaces}, and {sessions}."))
    }

    async fn replace(&self, settings: &Settings, copy: &Path, output: Output) -> Result<(), Failure> {
        let restoration = Restoration::begin(&settings.database, copy)?;
        let before = Before::read(settings).await;
        self.require_knowledge(&before)?;
        let before = before.ok();
        let candidate = Settings { database: restoration.candidate(), ..settings.clone() };
        let done = self.follow_up(&candidate, before.as_ref()).await?;
        let restored = restoration.finish(&format!(".replaced-{}", stamp()))?;
        let replaced = restored.replaced.as_ref().map(|path| path.display().to_string());
        if !output.json {
            say(&format!("{} is what {} was.", settings.database, copy.display()))?;
            if let Some(replaced) = &replaced {
                say(&format!("The database that was there is {replaced} now."))?;
            }
        }
        self.answer(&done, before.as_ref(), replaced.as_deref(), output)
    }

    async fn take_over(&self, settings: &Settings, output: Output) -> Result<(), Failure> {
        self.require_knowledge(&Err("it is not here any more".to_owned()))?;
        let _lock = ServerLock::acquire(&settings.database)?;
        let done = self.follow_up(settings, None).await?;
        self.answer(&done, None, None, output)
    }

    /// A key that leaked must not be trusted again because nobody thought of it.
    fn require_knowledge(&self, before: &Result<Before, String>) -> Result<(), Failure> {
        match before {
            Err(cause) if !self.leaks.are_named() => Err(Failure::new(format!(
                "the database that was there cannot say what leaked since the copy ({cause}): name the keys that were declared \
                 leaked with --compromised KID, or say --nothing-leaked; nothing was changed"
            ))),
            _ => Ok(()),
        }
    }

    /// All of it may be done twice: what was interrupted is done again.
    async fn follow_up(&self, settings: &Settings, before: Option<&Before>) -> Result<FollowedUp, Failure> {
        let store = Store::open(&settings.database)?;
        store.prepare().await?;
        go_by_clock_of(&store).await?;
        let keeper = attesto_server::keeper(&store, settings).await?;
        if let DatabaseUrl::Postgres(_) = settings.database {
            require_stopped(&keeper).await?;
        }
        let copied = keeper.read().await?.0.table().clone();
        if let Some(before) = before {
            before.require_same_authority(&store).await?;
        }
        for kid in self.leaked(before) {
            self.disown(&keeper, &kid).await?;
        }
        let epoch = self.renew_feed(&store, before).await?;
        self.require_published(&keeper, before).await?;
        self.relieve(&keeper).await?;
        let keys = keeper.read().await?.0.table().clone();
        store.checkpoint().await?;
        Ok(FollowedUp { epoch, copied, keys })
    }

    async fn disown(&self, keeper: &KeyKeeper, kid: &str) -> Result<(), Failure> {
        let disowned = keeper
            .change(|table, guards, now| Ok(table.disown(kid, guards, now)), &operator(), &self.why.reason)
            .await;
        Ok(disowned.map(drop)?)
    }

    /// Services go forward only, so it is later than any feed that they may have.
    async fn renew_feed(&self, store: &Store, before: Option<&Before>) -> Result<Instant, Failure> {
        let latest = before.map(|before| before.epoch + Duration::from_millis(1));
        let (salt, why, keeps) = (random_salt(), self.note(before), self.keep_sessions);
        let renewed = store.write(move |tx| {
            let event = event(Event::FeedRenewed).note(&why);
            let feed = Feed { epoch: latest.map_or(event.at, |latest| latest.max(event.at)), salt };
            if keeps { tx.renew_feed_only(&feed, &event) } else { tx.renew_feed(&feed, &event) }
        });
        Ok(renewed.await?)
    }

    /// For the audit: why, and where the one ended that is replaced. Its places are given once more.
    fn note(&self, before: Option<&Before>) -> String {
        match before.and_then(|before| before.audit) {
            None => self.why.reason.clone(),
            Some(AuditPlace { seq, hash }) => {
                format!("{}; the audit that was replaced ended at {seq}:{hash}", self.why.reason)
            }
        }
    }

    /// What is known to have leaked, by the database that was there and by the operator.
    fn leaked(&self, before: Option<&Before>) -> Vec<String> {
        let ledger = before.and_then(|before| before.keys.ledger.as_ref());
        let mut leaked = ledger.map(|ledger| ledger.compromised.clone()).unwrap_or_default();
        leaked.extend(self.leaks.compromised.iter().cloned());
        leaked
    }

    /// A key that was staged in the copy may have left the JWK Set since.
    async fn require_published(&self, keeper: &KeyKeeper, before: Option<&Before>) -> Result<(), Failure> {
        let Some(before) = before.filter(|_| !self.emergency) else { return Ok(()) };
        let (keyring, _) = keeper.read().await?;
        let table = keyring.table();
        let mut next =
            table.active_lines().into_iter().filter_map(|line| table.staged(line).first().copied());
        match next.find(|key| before.has_withdrawn(&key.kid)) {
            None => Ok(()),
            Some(key) => Err(Failure::new(format!(
                "key {}, which is to sign next, left the JWK Set since the copy: verifiers do not know it any more, and may refuse \
                 good tokens until they ask again; do it all the same with --emergency",
                key.kid
            ))),
        }
    }

    async fn relieve(&self, keeper: &KeyKeeper) -> Result<(), Failure> {
        let haste = if self.emergency { Haste::Emergency } else { Haste::Guarded };
        let relieved = keeper
            .change(|table, guards, now| table.relieve(haste, guards, now), &operator(), &self.why.reason)
            .await;
        match relieved {
            Err(KeyError::Refused(KeyRefusal::TooEarly { kid, until: at, .. })) => {
                Err(Failure::temporary(format!(
                    "verifiers may not know key {kid}, which is to sign next, before {}; do the same again then, or with \
                     --emergency, and start no server before",
                    until(at, now())
                )))
            }
            other => Ok(other.map(drop)?),
        }
    }

    fn answer(
        &self,
        done: &FollowedUp,
        before: Option<&Before>,
        replaced: Option<&str>,
        output: Output,
    ) -> Result<(), Failure> {
        let rows = keys::rows(&done.copied, before.map(|before| &before.keys), &done.keys);
        let epoch = rfc3339(done.epoch);
        if output.json {
            let object = json!({"replaced": replaced, "epoch": epoch, "sessions_ended": !self.keep_sessions, "keys": rows});
            return output.done("", &object);
        }
        let sessions = if self.keep_sessions {
            "Sessions that were ended since the copy are alive again"
        } else {
            "All sessions are over"
        };
        say(&format!("{sessions}; the feed of {epoch} has begun. Keys:"))?;
        output.list(&rows, &keys::HEADER, keys::Row::cells)?;
        say("Users, passwords and clients are those of the copy. Start the server now.")
    }
}

/// A server that runs on would sign with keys that are no more. A file has its lock.
async fn require_stopped(keeper: &KeyKeeper) -> Result<(), Failure> {
    let live = keeper.live_servers().await?;
    if live.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = live.iter().map(|server| server.id.clone()).collect();
    Err(Failure::new(format!(
        "servers run on this database ({}); stop them first; one that was killed counts as gone after {}",
        names.join(", "),
        in_words(ServerReport::SILENCE)
    )))
}

/// For a file name.
fn stamp() -> String {
    rfc3339(now()).replace(['-', ':', '.'], "")
}
