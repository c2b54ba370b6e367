use std::time::Duration;

use attesto_core::Line;
use attesto_keyring::{SealBroken, SignError};
use attesto_store::StoreError;

/// The authority cannot answer now: nobody's fault but ours, and worth a retry. No session ended; if something was changed after
/// all, the retry finds it so.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No signature could be made.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// A signature took too long.
    #[error("the signer does not answer in time")]
    SignerSlow,
    /// The store could not be asked for too long whether the keys are still the right ones.
    #[error("the signing keys are not confirmed")]
    KeysUnconfirmed,
    /// Nothing signs what is configured to be signed so.
    #[error("no {0} key is active")]
    NoActiveKey(Line),
    /// The row's successor does not open with the token that its digest names. Never to be taken for a replay.
    #[error("the sealed successor: {0}")]
    Successor(#[from] SealBroken),
    /// More passwords are waiting to be hashed than can be in time.
    #[error("too many passwords are waiting to be hashed")]
    HashQueue,
    /// A stored hash is none, or asks for more memory than any that we write.
    #[error("a stored password hash cannot be used")]
    PasswordHash,
    /// The store could not be asked for too long what is revoked.
    #[error("the revocation feed is not confirmed")]
    FeedUnconfirmed,
    /// More wait for news of the feed than can be held.
    #[error("too many wait for news of the revocation feed")]
    TooManyWaiters,
    /// More are asking for the same than can be answered in time.
    #[error("too many ask at once")]
    Crowded,
    /// A task of ours was cancelled.
    #[error("a task was cancelled")]
    Cancelled,
    /// The SimpleJWT dialect has no client to issue for.
    #[error("the client `simplejwt` is missing")]
    NoClient,
    /// What ended all sessions did so by a clock that was ahead of ours: one that begins now would be over at once.
    #[error(
        "sessions that begin within the next {0:?} would be over at once: they were ended by a clock that was ahead of \
         this one"
    )]
    WatermarkAhead(Duration),
    /// The session changed under every attempt.
    #[error("the session kept changing")]
    Contended,
}
