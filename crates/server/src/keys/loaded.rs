use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::header::{EntityTag, HeaderValue};
use actix_web::web::Bytes;
use attesto_core::{Digest, Guards, Instant, KeyUse, Line, Purpose};
use attesto_keyring::{Keyring, Signer};
use attesto_store::{Store, StoreError};
use attesto_token::JwkSet;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::start::StartError;
use crate::tokens::Tokens;
use crate::unavailable::Unavailable;

/// One state of the keys, with everything that follows from it.
pub struct LoadedKeys {
    /// Signs.
    pub keyring: Keyring,
    /// Checks the authority's own tokens.
    pub tokens: Tokens,
    /// The published keys of tokens.
    pub token_jwk_set: WrittenJwkSet,
    /// The published keys of the revocation feed. Never in one set with the others: who chooses by `kid` would take one
    /// for the other.
    pub feed_jwk_set: WrittenJwkSet,
}

/// A JWK Set, written once and served from memory.
pub struct WrittenJwkSet {
    /// JSON.
    pub bytes: Bytes,
    /// Of those bytes.
    pub etag: EntityTag,
    /// The same as a header says it.
    pub etag_header: HeaderValue,
}

impl WrittenJwkSet {
    fn new(set: &JwkSet) -> serde_json::Result<Self> {
        let bytes = serde_json::to_vec(set)?;
        let etag = EntityTag::new_strong(Digest::of(&bytes).to_string());
        let etag_header = HeaderValue::try_from(etag.to_string()).expect("hex digits may stand in a header");
        Ok(Self { bytes: bytes.into(), etag, etag_header })
    }
}

impl LoadedKeys {
    /// Writes the JWK Sets of the published keys, and takes those for checking that a token may still need.
    pub fn new(
        keyring: Keyring,
        issuer: &str,
        guards: Guards<'_>,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let token_jwk_set = WrittenJwkSet::new(&keyring.published(Purpose::Token))?;
        let feed_jwk_set = WrittenJwkSet::new(&keyring.published(Purpose::Feed))?;
        let tokens = Tokens::new(issuer, &keyring, guards, clock)?;
        Ok(Self { keyring, tokens, token_jwk_set, feed_jwk_set })
    }

    /// The key that signs what is new.
    pub fn active(&self, line: Line) -> Result<&Arc<dyn Signer>, Unavailable> {
        self.keyring.active(line).ok_or(Unavailable::NoActiveKey(line))
    }
}

/// What one key is used for by this server.
#[derive(Default)]
pub struct Usage {
    /// The store knows that access tokens may expire up to here; in milliseconds.
    latest_exp: AtomicI64,
    raising: Mutex<()>,
    signatures: AtomicI64,
}

impl Usage {
    /// So many tokens were signed.
    pub fn count(&self, tokens: i64) {
        self.signatures.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Makes certain that the store knows of access tokens that expire at `expires_at`, before one is signed. Asks it
    /// once in a while only: each time it is told `ahead`.
    pub async fn cover(
        &self,
        store: &Store,
        kid: &str,
        expires_at: Instant,
        ahead: Instant,
    ) -> Result<(), StoreError> {
        if self.covers(expires_at) {
            return Ok(());
        }
        let _one_at_a_time = self.raising.lock().await;
        if self.covers(expires_at) {
            return Ok(());
        }
        let latest_exp = ahead.max(expires_at);
        let kid = kid.to_owned();
        let used = KeyUse { latest_exp: Some(latest_exp), signatures: 0 };
        store.write(move |tx| tx.raise_key_use(&kid, &used)).await?;
        self.latest_exp.store(latest_exp.as_millis(), Ordering::Release);
        Ok(())
    }

    fn covers(&self, expires_at: Instant) -> bool {
        expires_at.as_millis() <= self.latest_exp.load(Ordering::Acquire)
    }

    pub(super) fn take_signatures(&self) -> i64 {
        self.signatures.swap(0, Ordering::Relaxed)
    }
}
