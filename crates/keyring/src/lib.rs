//! The only code that touches private keys: make, seal, open, sign.
//!
//! A signing key lives in the database as a [`KeyRecord`](attesto_core::KeyRecord). Its private half is sealed under a
//! key-encryption key that the database never sees, every row carries a MAC under the same key, and a ledger binds all
//! rows together: who can write to the database can neither publish a key, nor revive one, nor sign.

mod aead;
mod audit_head;
mod change;
mod error;
mod exposure;
#[cfg(test)]
mod fixture;
mod import;
mod kek;
mod keyring;
mod mac;
mod pem;
mod private;
mod provider;
mod public;
mod random;
mod roca;
mod rsa_bits;
mod seal;
mod self_test;
mod signer;
mod subkey;
mod successor;

pub use change::{ImportAs, NewKey, begin_ledger, first_keys};
pub use error::{
    AuditHeadError, KekError, KeyringError, ProviderError, SealBroken, SelfTestFailed, SignError,
};
pub use exposure::{Exposure, exposure};
pub use import::{ImportError, ImportedKey};
pub use kek::{KeyEncryptionKey, KeyEncryptionKeys};
pub use keyring::Keyring;
pub use public::public_key_pem;
pub use random::{random_id, random_salt, random_secret};
pub use rsa_bits::{RsaBits, UnknownRsaBits};
pub use self_test::self_test;
pub use signer::{OpenKey, Signer, Signing, sign_jws, signing_input};
pub use successor::{Successor, open_successor, seal_successor};
