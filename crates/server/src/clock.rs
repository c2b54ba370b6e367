mod database_time;

use std::sync::Arc;
use std::time::SystemTime;

use attesto_core::Instant;
use attesto_store::{Store, StoreError};

use database_time::DatabaseTime;

/// How often the database is asked at the start: the first answer is a surprise, and one that took long is none.
const ATTEMPTS: u32 = 10;

/// Where `now` comes from. Read once per request and handed down.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    Machine,
    Database(DatabaseTime),
    Other(Box<dyn Fn() -> Instant + Send + Sync>),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Arc::new(Source::Machine))
    }

    /// Any other source of instants.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(Source::Other(Box::new(now))))
    }

    /// The clock that all servers of a database have in common: that of the database, if it has one, instead of that of
    /// this machine.
    pub async fn of(self, store: &Store) -> Result<Self, StoreError> {
        if !matches!(*self.0, Source::Machine) || store.now().await?.is_none() {
            return Ok(self);
        }
        let clock = Self(Arc::new(Source::Database(DatabaseTime::start(system_now()))));
        for _ in 0..ATTEMPTS {
            clock.compare(store).await?;
            if clock.is_steady() {
                break;
            }
        }
        Ok(clock)
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        match &*self.0 {
            Source::Machine => system_now(),
            Source::Database(time) => time.now(),
            Source::Other(now) => now(),
        }
    }

    /// Whether it agrees with the database, if it has to.
    pub fn is_steady(&self) -> bool {
        !matches!(&*self.0, Source::Database(time) if !time.is_steady())
    }

    /// Asks the database for the time, if it is the one that counts.
    pub async fn compare(&self, store: &Store) -> Result<(), StoreError> {
        let Source::Database(time) = &*self.0 else { return Ok(()) };
        let asked_at = time.elapsed();
        if let Some(now) = store.now().await? {
            time.correct(now, asked_at, time.elapsed());
        }
        Ok(())
    }
}

impl attesto_verifier::Clock for Clock {
    fn unix_now(&self) -> i64 {
        self.now().seconds()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the authority that reads the time")]
fn system_now() -> Instant {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instant::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
