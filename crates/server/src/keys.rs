use std::sync::Arc;

use actix_web::http::header::EntityTag;
use actix_web::web::Bytes;
use attesto_core::Digest;
use attesto_keyring::Keyring;

/// The keys that the server signs with, and the document that says so to the world.
pub struct Keys {
    /// Signs.
    pub keyring: Arc<Keyring>,
    /// The JWK Set, written once and served from memory.
    pub jwk_set: Bytes,
    /// Of those bytes.
    pub etag: EntityTag,
}

impl Keys {
    /// Writes the JWK Set of the published keys.
    pub fn new(keyring: Keyring) -> Result<Self, serde_json::Error> {
        let jwk_set = serde_json::to_vec(&keyring.published())?;
        let etag = EntityTag::new_strong(Digest::of(&jwk_set).to_string());
        Ok(Self { keyring: Arc::new(keyring), jwk_set: jwk_set.into(), etag })
    }
}
