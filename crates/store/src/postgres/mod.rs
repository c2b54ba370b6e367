//! PostgreSQL: a pool of connections, one transaction per read or write, one statement where that is enough, and any number of
//! servers beside this one.
//!
//! Behind a pooler, which may give each transaction another connection, nothing outlives one: no setting, no lock, no prepared
//! statement.

mod connection;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use attesto_core::Instant;
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::error::{OpenError, StoreError};
use crate::figures::{Figures, OneMore};
use crate::migration;
use crate::pool::Connections;
use crate::session::Moved;
use crate::store::{Change, Read, Write};
use crate::url::PostgresUrl;
use connection::Door;

/// How many connections a server takes at most. More would not make a database faster.
const CONNECTIONS: u32 = 16;

/// How long a request waits until one of them is free, and how long for one to be opened.
const PATIENCE: Duration = Duration::from_millis(900);

/// How long a request waits for all of it: a server or a pooler that accepts and says nothing keeps no time-out of its own.
const LONGEST_WORK: Duration = Duration::from_secs(6);

/// How long a start waits for the first connection, which may lead through the names of several servers.
const FIRST: Duration = Duration::from_secs(10);

pub(crate) struct Postgres {
    door: Arc<Door>,
    pool: Connections,
    /// One for each connection: whoever waits for one takes no thread meanwhile.
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Postgres {
    /// Opens a database without tables.
    pub(crate) fn create(url: &PostgresUrl) -> Result<Self, OpenError> {
        let (door, mut first) = Door::find(url).map_err(|cause| connection::unreachable(url, &cause))?;
        if !migration::is_blank(&mut first).map_err(|cause| connection::unreachable(url, &cause))? {
            return Err(OpenError::Exists(url.into()));
        }
        Ok(Self::connect(door))
    }

    /// Opens a database of ours.
    pub(crate) fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        let (door, mut first) = Door::find(url).map_err(|cause| connection::unreachable(url, &cause))?;
        if migration::is_blank(&mut first).map_err(|cause| connection::unreachable(url, &cause))? {
            return Err(OpenError::Absent(url.into()));
        }
        migration::check_requirement(&mut first, &url.into())?;
        Ok(Self::connect(door))
    }

    fn connect(door: Door) -> Self {
        let (places, door) = (Arc::new(Semaphore::new(CONNECTIONS as usize)), Arc::new(door));
        let opener = Arc::clone(&door);
        let pool = crate::pool::connections(CONNECTIONS, PATIENCE, move || opener.open());
        // If it fails now, whoever needs it will say so.
        let _ = pool.get_timeout(FIRST);
        Self { door, pool, places, waiting: AtomicUsize::new(0) }
    }

    pub(crate) async fn read<T, F>(&self, queries: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.with_pool(move |pool| transaction::read(pool, queries)).await
    }

    pub(crate) async fn find<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Read<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.with_pool(move |pool| transaction::find(pool, query)).await
    }

    pub(crate) async fn write<T, F>(&self, changes: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.with_pool(move |pool| transaction::write(pool, changes)).await
    }

    pub(crate) async fn change<F>(&self, change: F) -> Result<Moved, StoreError>
    where
        F: Fn(Change<'_>) -> Result<Moved, StoreError> + Send + 'static,
    {
        if self.door.is_direct() {
            self.with_pool(move |pool| transaction::change(pool, change)).await
        } else {
            // Only a transaction has time-outs there.
            self.write(move |write| change(write.change())).await
        }
    }

    /// The present instant by the server's clock.
    pub(crate) async fn now(&self) -> Result<Instant, StoreError> {
        let millis = sql::<BigInt>("(extract(epoch FROM clock_timestamp()) * 1000)::bigint");
        let millis = self.read(|read| Ok(diesel::select(millis).get_result(read.connection)?)).await?;
        Ok(Instant::from_millis(millis))
    }

    /// Takes as long as it takes.
    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let migrating = self.begin(|pool| migration::run_together(&mut *transaction::connection(pool)?));
        migrating.await?.await.map_err(|_| StoreError::Abandoned)?
    }

    pub(crate) async fn is_pending(&self) -> Result<bool, StoreError> {
        self.with_pool(|pool| migration::is_pending(&mut *transaction::connection(pool)?)).await
    }

    /// Whether no pooler seems to stand in between.
    pub(crate) fn is_direct(&self) -> bool {
        self.door.is_direct()
    }

    pub(crate) fn figures(&self) -> Figures {
        let limit = CONNECTIONS as usize;
        Figures::Postgres {
            used: limit - self.places.available_permits(),
            limit,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    async fn with_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connections) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Whoever asked is answered; the place stays taken for as long as the work goes on.
        let worked = timeout(LONGEST_WORK, self.begin(work).await?).await;
        worked.map_err(|_| StoreError::Overloaded)?.map_err(|_| StoreError::Abandoned)?
    }

    async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connections) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<JoinHandle<Result<T, StoreError>>, StoreError> {
        let place = self.place().await?;
        let pool = self.pool.clone();
        Ok(spawn_blocking(move || {
            // Held until the connection is back, also if nobody waits for the answer any more.
            let _place = place;
            work(&pool)
        }))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let _waits = OneMore::of(&self.waiting);
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        place.map_err(|_| StoreError::Overloaded)?.map_err(|_| StoreError::Abandoned)
    }
}
