mod hash;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use attesto_core::{Password, PasswordHash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::hash::{Memory, NOBODY, hash, verify};
use crate::unavailable::Unavailable;

/// How long a password may wait for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Hashes passwords with Argon2id (RFC 9106), a few at a time.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    memory: Arc<Memory>,
    capacity: usize,
    waiting: Arc<AtomicUsize>,
    rejected: Arc<AtomicU64>,
}

/// How the passwords stand that are to be hashed.
pub struct Queue {
    /// For their turn.
    pub waiting: usize,
    /// Now.
    pub running: usize,
    /// At once.
    pub capacity: usize,
    /// Since the server started, because their turn did not come in time.
    pub rejected: u64,
}

impl Passwords {
    /// As many hashes at once as there are cores, less one for everything else.
    pub fn new() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self::at_once(cores.saturating_sub(1).max(1))
    }

    fn at_once(capacity: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(capacity)),
            memory: Arc::default(),
            capacity,
            waiting: Arc::default(),
            rejected: Arc::default(),
        }
    }

    /// How they stand.
    pub fn queue(&self) -> Queue {
        Queue {
            waiting: self.waiting.load(Ordering::Relaxed),
            running: self.capacity - self.permits.available_permits(),
            capacity: self.capacity,
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Unavailable> {
        self.in_turn(move || hash(&password)).await
    }

    /// Whether the password is that of `stored`; never, yet after the same work, if there is none.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<bool, Unavailable> {
        let known = stored.is_some();
        let against = stored.unwrap_or_else(|| PasswordHash::new(NOBODY.to_owned()));
        let memory = Arc::clone(&self.memory);
        self.in_turn(move || verify(&password, &against, &memory)).await.map(|matches| matches && known)
    }

    /// The permit goes into the task: a client that hangs up does not make room for a further hash.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let permit = self.turn().await?;
        let task = spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.map_err(|_| Unavailable::Cancelled)?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Unavailable> {
        let _waits = Waits::among(&self.waiting);
        let turn = timeout(LONGEST_WAIT, Arc::clone(&self.permits).acquire_owned());
        let Ok(permit) = turn.await else {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(Unavailable::HashQueue);
        };
        permit.map_err(|_| Unavailable::Cancelled)
    }
}

/// One more that waits, until its turn has come, or it has gone.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned())
    }

    #[actix_web::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new();
        assert!(!passwords.verify(typed(""), None).await.unwrap());
    }

    #[actix_web::test]
    async fn a_caller_that_hangs_up_keeps_its_permit_until_the_hash_is_done() {
        let passwords = Passwords::at_once(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let caller = actix_web::rt::spawn({
            let passwords = passwords.clone();
            async move {
                passwords
                    .in_turn(move || {
                        let _ = started.send(());
                        let _ = held.recv();
                        Ok(())
                    })
                    .await
            }
        });
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.is_err());
        assert_eq!(passwords.permits.available_permits(), 0);
        release.send(()).unwrap();
        assert!(passwords.hash(typed("next")).await.is_ok());
    }

    #[actix_web::test]
    async fn who_waits_is_counted_and_who_waited_in_vain_as_well() {
        let passwords = Passwords::at_once(1);
        let held = Arc::clone(&passwords.permits).acquire_owned().await.unwrap();
        let waiting = actix_web::rt::spawn({
            let passwords = passwords.clone();
            async move { passwords.hash(typed("x")).await }
        });
        tokio::task::yield_now().await;
        let queue = passwords.queue();
        assert_eq!((queue.waiting, queue.running, queue.capacity, queue.rejected), (1, 1, 1, 0));
        assert!(matches!(waiting.await.unwrap(), Err(Unavailable::HashQueue)));
        drop(held);
        let queue = passwords.queue();
        assert_eq!((queue.waiting, queue.running, queue.rejected), (0, 0, 1));
    }
}
