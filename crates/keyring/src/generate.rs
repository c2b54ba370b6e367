use attesto_core::{AuthorityId, Instant, KeyRecord, KeyState, Purpose};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;

use crate::error::KeyringError;
use crate::kek::KeyEncryptionKeys;
use crate::public::public_half;
use crate::{mac, seal};

/// Makes a signing key (RSA, 2048 bits) that is published from `now` on, and signs from `now` on if it is `Active`.
pub fn generate(
    keks: &KeyEncryptionKeys,
    authority: &AuthorityId,
    purpose: Purpose,
    state: KeyState,
    now: Instant,
) -> Result<KeyRecord, KeyringError> {
    let active_at = match state {
        KeyState::Staged => None,
        KeyState::Active => Some(now),
        _ => return Err(KeyringError::NotAFirstState),
    };
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyringError::NotGenerated)?;
    let public = public_half(&key).map_err(|_| KeyringError::NotGenerated)?;
    let private: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyringError::NotGenerated)?;

    let kek = keks.sealing();
    let mut record = KeyRecord {
        public_jwk: serde_json::to_string(&public).map_err(|_| KeyringError::NotGenerated)?,
        kid: public.kid,
        algorithm: public.algorithm.to_string(),
        purpose,
        state,
        sealed_private_key: None,
        kek_id: kek.id(),
        authority_id: authority.clone(),
        created_at: now,
        published_at: Some(now),
        active_at,
        demoted_at: None,
        retired_at: None,
        destroyed_at: None,
        compromised_at: None,
        mac: Vec::new(),
    };
    record.sealed_private_key = Some(seal::seal(private.as_ref(), &record, kek));
    record.mac = mac::mac(&record, kek);
    Ok(record)
}
