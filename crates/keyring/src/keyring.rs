use std::sync::Arc;

use attesto_core::{AuthorityId, Instant, KeyRecord, KeyState, Purpose};
use attesto_token::{Jwk, JwkSet};
use aws_lc_rs::signature::RsaKeyPair;

use crate::error::KeyringError;
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::public::{parse_jwk, public_half};
use crate::signer::Signer;
use crate::{mac, seal};

/// The opened token keys of one database. It has no `Debug`.
pub struct Keyring {
    /// In the order of their creation.
    keys: Vec<Key>,
    active: Arc<Signer>,
}

impl Keyring {
    /// Opens all keys, or none: a row that somebody tampered with, or a key that does not open, is an error even if
    /// that key would not be used.
    pub fn open(
        records: &[KeyRecord],
        keks: &KeyEncryptionKeys,
        authority: &AuthorityId,
    ) -> Result<Self, KeyringError> {
        if records.is_empty() {
            return Err(KeyringError::NoKeys);
        }
        let mut opened =
            records.iter().map(|record| Key::open(record, keks, authority)).collect::<Result<Vec<_>, _>>()?;
        opened.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(Self { active: only_active(&opened)?, keys: opened })
    }

    /// The one key that signs what is new.
    pub fn active(&self) -> &Arc<Signer> {
        &self.active
    }

    /// The key that signed something before and has to sign the same again: active or retiring.
    pub fn signer(&self, kid: &str) -> Option<&Arc<Signer>> {
        self.keys.iter().find(|key| key.public.kid == kid)?.signer.as_ref()
    }

    /// The JWK Set for resource servers: staged, active and retiring keys, the oldest first. Never empty.
    pub fn published(&self) -> JwkSet {
        self.jwk_set(KeyState::is_published)
    }

    /// The keys whose tokens the authority itself accepts: active, retiring and retired.
    pub fn verifying(&self) -> JwkSet {
        self.jwk_set(|state| matches!(state, KeyState::Active | KeyState::Retiring | KeyState::Retired))
    }

    fn jwk_set(&self, contains: impl Fn(KeyState) -> bool) -> JwkSet {
        JwkSet::new(
            self.keys.iter().filter(|key| contains(key.state)).map(|key| key.public.clone()).collect(),
        )
    }
}

struct Key {
    public: Jwk,
    state: KeyState,
    created_at: Instant,
    /// Only for the states that sign.
    signer: Option<Arc<Signer>>,
}

impl Key {
    fn open(
        record: &KeyRecord,
        keks: &KeyEncryptionKeys,
        authority: &AuthorityId,
    ) -> Result<Self, KeyringError> {
        let kid = || record.kid.clone();
        let kek = keks
            .find(&record.kek_id)
            .ok_or_else(|| KeyringError::KekMissing { kid: kid(), kek_id: record.kek_id.clone() })?;
        if !mac::is_genuine(record, kek) {
            return Err(KeyringError::RowAltered { kid: kid() });
        }
        if record.authority_id != *authority {
            return Err(KeyringError::OtherAuthority { kid: kid() });
        }
        if record.purpose != Purpose::Token {
            return Err(KeyringError::OtherPurpose { kid: kid() });
        }
        let public = public_of(record)?;
        let private = private_of(record, &public, kek)?;
        let signer = match record.state {
            KeyState::Active | KeyState::Retiring => {
                private.map(|key| Signer::new(kid(), key)).transpose()?
            }
            KeyState::Staged | KeyState::Retired | KeyState::Destroyed | KeyState::Compromised => None,
        };
        Ok(Self { public, state: record.state, created_at: record.created_at, signer: signer.map(Arc::new) })
    }

    /// Sorts keys the same way everywhere, even two of the same instant.
    fn age(&self) -> (Instant, &str) {
        (self.created_at, &self.public.kid)
    }
}

fn only_active(keys: &[Key]) -> Result<Arc<Signer>, KeyringError> {
    let mut active =
        keys.iter().filter(|key| key.state == KeyState::Active).filter_map(|key| key.signer.as_ref());
    let first = active.next().ok_or(KeyringError::NoActiveKey)?;
    match active.next() {
        None => Ok(Arc::clone(first)),
        Some(second) => Err(KeyringError::TwoActiveKeys {
            first: first.kid().to_owned(),
            second: second.kid().to_owned(),
        }),
    }
}

fn public_of(record: &KeyRecord) -> Result<Jwk, KeyringError> {
    parse_jwk(&record.public_jwk)
        .filter(|jwk| jwk.kid == record.kid && jwk.kid == jwk.key.thumbprint())
        .filter(|jwk| jwk.algorithm.as_str() == record.algorithm)
        .ok_or_else(|| KeyringError::Inconsistent { kid: record.kid.clone() })
}

fn private_of(
    record: &KeyRecord,
    public: &Jwk,
    kek: &KeyEncryptionKey,
) -> Result<Option<RsaKeyPair>, KeyringError> {
    let kid = || record.kid.clone();
    let Some(sealed) = &record.sealed_private_key else {
        let needed = record.state.is_published();
        return if needed { Err(KeyringError::PrivateHalfMissing { kid: kid() }) } else { Ok(None) };
    };
    let private = seal::open(sealed, record, kek).map_err(|_| KeyringError::SealBroken { kid: kid() })?;
    let key = RsaKeyPair::from_pkcs8(&private).map_err(|_| KeyringError::Inconsistent { kid: kid() })?;
    if public_half(&key).as_ref() != Ok(public) {
        return Err(KeyringError::Inconsistent { kid: kid() });
    }
    Ok(Some(key))
}
