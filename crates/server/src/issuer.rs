use std::sync::Arc;
use std::time::Duration;

use attesto_core::{
    AccessGrant, Digest, Instant, Jti, Keep, LEAD, Line, Opening, Presented, RefreshGrant, Repeat, Rotate,
    Rotation, Session, SigningAlgorithm,
};
use attesto_keyring::{
    Signer, Successor, open_successor, random_id, seal_successor, sign_jws, signing_input,
};
use attesto_store::Store;
use attesto_token::feed::FeedClaims;
use attesto_token::{AccessTokenClaims, RefreshTokenClaims, typ};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::keys::{Keys, LoadedKeys};
use crate::unavailable::Unavailable;

/// How long a signature may take, waiting for its turn included.
const SIGNATURE_TIMEOUT: Duration = Duration::from_millis(500);

/// How many signatures are asked for at once.
const SIGNATURES_AT_ONCE: usize = 64;

/// Turns what was decided into signed tokens. It draws the `jti`s, and writes nothing but that a key is in use.
pub struct Issuer {
    url: String,
    store: Store,
    keys: Arc<Keys>,
    turns: Semaphore,
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
    pub fn new(url: String, store: Store, keys: Arc<Keys>) -> Self {
        Self { url, store, keys, turns: Semaphore::new(SIGNATURES_AT_ONCE) }
    }

    /// Signs the first pair of a session; gives the row to insert.
    pub async fn open(&self, opening: Opening, by: Digest) -> Result<(Pair, Session), Unavailable> {
        let keys = self.keys.confirmed()?;
        let (pair, successor, kid) = self.pair(&keys, &opening.access, &opening.refresh).await?;
        Ok((pair, opening.signed(successor.jti.digest(), kid, by)))
    }

    /// Signs the next pair, and seals the successor for the holder of `presented`; gives the row's new state.
    pub async fn rotate(
        &self,
        next: &Rotate,
        presented: &Presented,
        by: Digest,
    ) -> Result<(Pair, Rotation), Unavailable> {
        let keys = self.keys.confirmed()?;
        let RefreshGrant { sid, generation, .. } = &next.refresh;
        let (pair, successor, kid) = self.pair(&keys, &next.access, &next.refresh).await?;
        let sealed = seal_successor(&presented.jti, sid, *generation, &successor);
        Ok((pair, next.signed(successor.jti.digest(), kid, sealed, by)))
    }

    /// Gives the successor again, byte for byte, beside a fresh access token.
    pub async fn repeat(&self, repeat: &Repeat, presented: &Presented) -> Result<Pair, Unavailable> {
        let keys = self.keys.confirmed()?;
        let RefreshGrant { sid, generation, .. } = &repeat.refresh;
        let successor = open_successor(&presented.jti, sid, *generation, &repeat.sealed_successor)?;
        let (access, refresh) =
            tokio::try_join!(self.access(&keys, &repeat.access), self.again(&keys, repeat, &successor))?;
        Ok(Pair { access, refresh })
    }

    /// Signs an access token beside a refresh token that stays.
    pub async fn keep(&self, keep: &Keep) -> Result<String, Unavailable> {
        self.access(&*self.keys.confirmed()?, &keep.access).await
    }

    /// Signs an answer of the revocation feed. Nobody refreshes it: its key's use is noted `ahead` by as much as that of
    /// tokens.
    pub async fn sign_feed(&self, claims: &FeedClaims, ahead: Duration) -> Result<String, Unavailable> {
        let keys = self.keys.confirmed()?;
        let signer = keys.active(Line::of_feed())?;
        let expires_at = Instant::from_seconds(claims.exp);
        self.announce(signer.as_ref(), expires_at, expires_at + LEAD * ahead).await?;
        self.sign(signer.as_ref(), typ::REVOCATIONS, claims).await
    }

    async fn pair(
        &self,
        keys: &LoadedKeys,
        access: &AccessGrant,
        refresh: &RefreshGrant,
    ) -> Result<(Pair, Successor, String), Unavailable> {
        let signer = keys.active(Line::of_tokens(refresh.algorithm))?;
        let jti = Jti::new(random_id());
        let claims = self.refresh_claims(refresh, &jti);
        let (access, refresh_token) =
            tokio::try_join!(self.access(keys, access), self.sign(signer.as_ref(), typ::REFRESH, &claims))?;
        let signature = match refresh.algorithm {
            // Deterministic: signing again gives the same.
            SigningAlgorithm::Rs256 => None,
            SigningAlgorithm::Es256 => {
                refresh_token.rsplit_once('.').map(|(_, signature)| signature.to_owned())
            }
        };
        let kid = signer.public_jwk().kid.clone();
        Ok((Pair { access, refresh: refresh_token }, Successor { jti, signature }, kid))
    }

    async fn access(&self, keys: &LoadedKeys, grant: &AccessGrant) -> Result<String, Unavailable> {
        let signer = keys.active(Line::of_tokens(grant.algorithm))?;
        let lifetime = grant.expires_at.since(grant.issued_at);
        self.announce(signer.as_ref(), grant.expires_at, grant.issued_at + LEAD * lifetime).await?;
        self.sign(signer.as_ref(), typ::ACCESS, &self.access_claims(grant)).await
    }

    /// The store knows how long what the key signs lives before there is something that lives longer.
    async fn announce(
        &self,
        signer: &dyn Signer,
        expires_at: Instant,
        ahead: Instant,
    ) -> Result<(), Unavailable> {
        let kid = &signer.public_jwk().kid;
        Ok(self.keys.usage(kid).cover(&self.store, kid, expires_at, ahead).await?)
    }

    /// The refresh token that was signed before. If the key that signed it is gone or leaked, the active one signs the
    /// same claims: same `jti`, one token to the store.
    async fn again(
        &self,
        keys: &LoadedKeys,
        repeat: &Repeat,
        successor: &Successor,
    ) -> Result<String, Unavailable> {
        let claims = self.refresh_claims(&repeat.refresh, &successor.jti);
        let keyring = &keys.keyring;
        if !keyring.is_compromised(&repeat.kid) {
            if let (Some(signature), Some(jwk)) = (&successor.signature, keyring.public_jwk(&repeat.kid)) {
                return Ok([&signing_input(jwk, typ::REFRESH, &claims)?, signature.as_str()].join("."));
            }
            if let Some(signer) = keyring.signer(&repeat.kid) {
                return self.sign(signer.as_ref(), typ::REFRESH, &claims).await;
            }
        }
        let signer = keys.active(Line::of_tokens(repeat.refresh.algorithm))?;
        self.sign(signer.as_ref(), typ::REFRESH, &claims).await
    }

    async fn sign<C: Serialize>(
        &self,
        signer: &dyn Signer,
        typ: &str,
        claims: &C,
    ) -> Result<String, Unavailable> {
        let signing = async {
            let _turn = self.turns.acquire().await.map_err(|_| Unavailable::Cancelled)?;
            self.require_trusted(&signer.public_jwk().kid)?;
            Ok::<_, Unavailable>(sign_jws(signer, typ, claims).await?)
        };
        let token = timeout(SIGNATURE_TIMEOUT, signing).await.map_err(|_| Unavailable::SignerSlow)??;
        self.keys.usage(&signer.public_jwk().kid).count(1);
        Ok(token)
    }

    /// Asked again right before the signature: a process may have slept for long since the keys were taken.
    fn require_trusted(&self, kid: &str) -> Result<(), Unavailable> {
        if self.keys.confirmed()?.keyring.is_compromised(kid) {
            return Err(Unavailable::KeysUnconfirmed);
        }
        Ok(())
    }

    fn access_claims(&self, grant: &AccessGrant) -> AccessTokenClaims {
        AccessTokenClaims {
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
        }
    }

    fn refresh_claims(&self, grant: &RefreshGrant, jti: &Jti) -> RefreshTokenClaims {
        RefreshTokenClaims {
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
        }
    }
}
