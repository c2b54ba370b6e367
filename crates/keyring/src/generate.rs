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

#[cfg(test)]
mod tests {
    use attesto_token::PublicKey;

    use super::*;
    use crate::fixture::{ACTIVE, KEKS, NOW, STAGED, authority};
    use crate::public::parse_jwk;

    #[test]
    fn a_new_key_is_published_at_once_and_signs_if_it_is_active() {
        for (record, state, active_at) in
            [(&*ACTIVE, KeyState::Active, Some(NOW)), (&*STAGED, KeyState::Staged, None)]
        {
            assert_eq!(record.state, state);
            assert_eq!(record.purpose, Purpose::Token);
            assert_eq!(record.algorithm, "RS256");
            assert_eq!(record.authority_id, authority());
            assert_eq!(record.kek_id, KEKS.sealing().id());
            assert_eq!((record.created_at, record.published_at), (NOW, Some(NOW)));
            assert_eq!(record.active_at, active_at);
            let later = [record.demoted_at, record.retired_at, record.destroyed_at, record.compromised_at];
            assert_eq!(later, [None; 4]);
        }
        assert_ne!(ACTIVE.kid, STAGED.kid);
    }

    #[test]
    fn its_modulus_has_2048_bits_and_its_name_is_its_thumbprint() {
        let jwk = parse_jwk(&ACTIVE.public_jwk).unwrap();
        assert_eq!(ACTIVE.kid, jwk.key.thumbprint());
        assert_eq!(ACTIVE.kid.len(), 43);
        let PublicKey::Rsa(key) = jwk.key else { panic!("not an RSA key") };
        assert_eq!((key.n.len(), key.n[0] >> 7), (256, 1));
        assert_eq!(key.e, [1, 0, 1]);
    }

    #[test]
    fn a_second_implementation_takes_the_sealed_key() {
        let private =
            seal::open(ACTIVE.sealed_private_key.as_ref().unwrap(), &ACTIVE, KEKS.sealing()).unwrap();
        let key = ring::signature::RsaKeyPair::from_pkcs8(&private).unwrap();
        assert_eq!(key.public().modulus_len(), 256);
    }

    #[test]
    fn no_key_begins_its_life_in_a_later_state() {
        for state in [KeyState::Retiring, KeyState::Retired, KeyState::Destroyed, KeyState::Compromised] {
            let refused = generate(&KEKS, &authority(), Purpose::Token, state, NOW);
            assert_eq!(refused, Err(KeyringError::NotAFirstState));
        }
    }
}
