//! The only code that touches private keys: make, seal, open, sign.
//!
//! A signing key lives in the database as a [`KeyRecord`](attesto_core::KeyRecord). Its private half is sealed under a
//! key-encryption key that the database never sees, and every row carries a MAC under the same key: who can write to
//! the database can neither publish a key, nor revive one, nor sign.

mod aead;
mod encoding;
mod error;
#[cfg(test)]
mod fixture;
mod generate;
mod kek;
mod keyring;
mod mac;
mod provider;
mod public;
mod random;
mod seal;
mod self_test;
mod signer;
mod subkey;
mod successor;

pub use error::{KekError, KeyringError, ProviderError, SealBroken, SelfTestFailed, SignError};
pub use generate::generate;
pub use kek::{KeyEncryptionKey, KeyEncryptionKeys};
pub use keyring::Keyring;
pub use random::{random_id, random_secret};
pub use self_test::self_test;
pub use signer::Signer;
pub use successor::{open_successor, seal_successor};
