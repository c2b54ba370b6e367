use std::sync::Arc;

use attesto_core::{
    AccessGrant, Digest, Jti, Keep, Opening, Presented, RefreshGrant, Repeat, Rotate, Rotation, Session,
};
use attesto_keyring::{Keyring, Signer, open_successor, random_id, seal_successor};
use attesto_token::{AccessTokenClaims, RefreshTokenClaims, typ};

use crate::unavailable::Unavailable;

/// Turns what was decided into signed tokens. It draws the `jti`s, and never writes.
pub struct Issuer {
    url: String,
    keyring: Arc<Keyring>,
}

/// An access and a refresh token.
pub struct Pair {
    /// For resource servers.
    pub access: String,
    /// For the authority.
    pub refresh: String,
}

impl Issuer {
    /// An issuer whose `iss` is `url`, byte for byte.
    pub fn new(url: String, keyring: Arc<Keyring>) -> Self {
        Self { url, keyring }
    }

    /// Signs the first pair of a session; gives the row to insert.
    pub fn open(&self, opening: Opening, by: Digest) -> Result<(Pair, Session), Unavailable> {
        let signer = self.keyring.active();
        let jti = Jti::new(random_id());
        let pair = Pair {
            access: self.access(&opening.access)?,
            refresh: self.refresh(signer, &opening.refresh, &jti)?,
        };
        Ok((pair, opening.signed(jti.digest(), signer.kid().to_owned(), by)))
    }

    /// Signs the next pair, and seals the successor for the holder of `presented`; gives the row's new state.
    pub fn rotate(
        &self,
        next: &Rotate,
        presented: &Presented,
        by: Digest,
    ) -> Result<(Pair, Rotation), Unavailable> {
        let signer = self.keyring.active();
        let RefreshGrant { sid, generation, .. } = &next.refresh;
        let jti = Jti::new(random_id());
        let pair =
            Pair { access: self.access(&next.access)?, refresh: self.refresh(signer, &next.refresh, &jti)? };
        let sealed = seal_successor(&presented.jti, sid, *generation, &jti);
        Ok((pair, next.signed(jti.digest(), signer.kid().to_owned(), sealed, by)))
    }

    /// Signs the successor again, byte for byte, beside a fresh access token.
    pub fn repeat(&self, repeat: &Repeat, presented: &Presented) -> Result<Pair, Unavailable> {
        let RefreshGrant { sid, generation, .. } = &repeat.refresh;
        let jti = open_successor(&presented.jti, sid, *generation, &repeat.sealed_successor)?;
        // If the key that signed it is gone, the active one signs the same claims: same `jti`, one token to the store.
        let signer = self.keyring.signer(&repeat.kid).unwrap_or_else(|| self.keyring.active());
        Ok(Pair {
            access: self.access(&repeat.access)?,
            refresh: self.refresh(signer, &repeat.refresh, &jti)?,
        })
    }

    /// Signs an access token beside a refresh token that stays.
    pub fn keep(&self, keep: &Keep) -> Result<String, Unavailable> {
        self.access(&keep.access)
    }

    fn access(&self, grant: &AccessGrant) -> Result<String, Unavailable> {
        let claims = AccessTokenClaims {
            iss: self.url.clone(),
            sub: grant.user_id.0.clone(),
            aud: grant.audience.clone(),
            exp: grant.expires_at.seconds(),
            iat: grant.issued_at.seconds(),
            jti: random_id(),
            client_id: grant.client_id.0.clone(),
            scope: grant.scope.claim(),
            sid: grant.sid.0.clone(),
            auth_time: grant.auth_time.seconds(),
            token_type: "access".to_owned(),
            user_id: grant.user_id.0.clone(),
            custom: grant.claims.as_map().clone(),
        };
        Ok(self.keyring.active().sign(typ::ACCESS, &claims)?)
    }

    fn refresh(&self, signer: &Signer, grant: &RefreshGrant, jti: &Jti) -> Result<String, Unavailable> {
        let claims = RefreshTokenClaims {
            iss: self.url.clone(),
            sub: grant.user_id.0.clone(),
            aud: self.url.clone(),
            exp: grant.expires_at.seconds(),
            iat: grant.issued_at.seconds(),
            jti: jti.expose().to_owned(),
            client_id: grant.client_id.0.clone(),
            sid: grant.sid.0.clone(),
            generation: grant.generation,
            token_type: "refresh".to_owned(),
            user_id: grant.user_id.0.clone(),
            custom: grant.claims.as_map().clone(),
        };
        Ok(signer.sign(typ::REFRESH, &claims)?)
    }
}
