use std::fmt;

use crate::claims::CustomClaims;
use crate::client::{Client, ClientId};
use crate::grant::{AccessGrant, RefreshGrant};
use crate::instant::Instant;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::Digest;
use crate::user::{User, UserId};

/// A session's identifier, the `sid` of its tokens: 128 random bits, as 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub String);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signed-in user at a client, from sign-in to logout: one row, however often it is refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Who signed in. The user may have been deleted since.
    pub user_id: UserId,
    /// At which client.
    pub client_id: ClientId,
    /// What was granted.
    pub scope: Scope,
    /// The `aud` of its access tokens.
    pub audience: String,
    /// When the user proved who they are.
    pub auth_time: Instant,
    /// The user's claims as they were then.
    pub claims: CustomClaims,
    /// Which refresh token is the current one, from 1.
    pub generation: i64,
    /// Of the current refresh token's `jti`.
    pub jti_digest: Digest,
    /// Of its direct predecessor's, while a retry could present it.
    pub previous_jti_digest: Option<Digest>,
    /// When the current refresh token was issued.
    pub rotated_at: Instant,
    /// The key that signed it.
    pub kid: String,
    /// Its `jti`, sealed so that only its predecessor opens it.
    pub sealed_successor: Option<Vec<u8>>,
    /// Of the address and agent that it was issued to.
    pub rotated_by: Digest,
    /// When the session began.
    pub created_at: Instant,
    /// When it was last refreshed.
    pub last_used_at: Instant,
    /// When it ends if it is not refreshed.
    pub idle_expires_at: Instant,
    /// When it ends in any case.
    pub absolute_expires_at: Instant,
    /// When it was ended, if so.
    pub revoked_at: Option<Instant>,
}

/// A session that may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The first access token.
    pub access: AccessGrant,
    /// The first refresh token.
    pub refresh: RefreshGrant,
    idle_expires_at: Instant,
    absolute_expires_at: Instant,
}

impl User {
    /// Decides whether a user whose password was right may begin a session at `client`.
    pub fn open_session(
        &self,
        client: &Client,
        sid: SessionId,
        policy: &Policy,
        now: Instant,
    ) -> Result<Opening, Refusal> {
        if self.disabled_at.is_some() {
            return Err(Refusal::CredentialsInvalid);
        }
        if client.disabled_at.is_some() {
            return Err(Refusal::ClientDisabled);
        }
        let absolute_expires_at = now + policy.absolute_lifetime;
        let idle_expires_at = (now + policy.idle_lifetime).min(absolute_expires_at);
        let access = AccessGrant {
            user_id: self.id.clone(),
            client_id: client.id.clone(),
            sid: sid.clone(),
            audience: client.audience.clone(),
            scope: client.scope.clone(),
            auth_time: now,
            claims: self.claims.clone(),
            issued_at: now,
            expires_at: (now + policy.access_lifetime).min(absolute_expires_at),
            algorithm: client.access_token_algorithm(policy),
        };
        let refresh = RefreshGrant {
            user_id: self.id.clone(),
            client_id: client.id.clone(),
            sid,
            generation: 1,
            claims: self.claims.clone(),
            issued_at: now,
            // A token that stays is not renewed with the idle end; the row alone keeps that.
            expires_at: if client.rotates { idle_expires_at } else { absolute_expires_at },
            algorithm: client.refresh_token_algorithm(policy),
        };
        Ok(Opening { access, refresh, idle_expires_at, absolute_expires_at })
    }
}

impl Opening {
    /// The row to insert, now that the first refresh token is signed.
    pub fn signed(self, jti_digest: Digest, kid: String, rotated_by: Digest) -> Session {
        let AccessGrant { user_id, client_id, sid, audience, scope, auth_time, claims, issued_at, .. } =
            self.access;
        Session {
            id: sid,
            user_id,
            client_id,
            scope,
            audience,
            auth_time,
            claims,
            generation: self.refresh.generation,
            jti_digest,
            previous_jti_digest: None,
            rotated_at: issued_at,
            kid,
            sealed_successor: None,
            rotated_by,
            created_at: issued_at,
            last_used_at: issued_at,
            idle_expires_at: self.idle_expires_at,
            absolute_expires_at: self.absolute_expires_at,
            revoked_at: None,
        }
    }
}
