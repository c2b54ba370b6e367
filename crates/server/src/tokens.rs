use std::time::Duration;

use attesto_core::{Guards, Instant, Jti, KeyState, Presented, Purpose, SessionId};
use attesto_keyring::Keyring;
use attesto_token::{AccessTokenClaims, Algorithm, JwkSet, RefreshTokenClaims, typ};
use attesto_verifier::{BuildError, Error, TokenType, Verified, Verifier};

use crate::clock::Clock;

/// A token may be issued by a server whose clock is ahead, or by this one before its clock was put right.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Checks the authority's own tokens, with the verifier that everybody else uses: its keys handed over in process, those
/// included that are no longer published, and no leeway for what has expired.
pub struct Tokens {
    access: Verifier,
    refresh: Verifier,
    /// Keys that were declared leaked.
    leaked: Vec<String>,
}

/// The keys whose access tokens the authority itself accepts. A staged key is among them: another server may have
/// promoted it a moment ago.
pub fn access_keys(keyring: &Keyring) -> JwkSet {
    keyring.jwk_set(|row| {
        row.purpose == Purpose::Token && (row.state.is_published() || row.state == KeyState::Retired)
    })
}

/// The keys whose refresh tokens the authority accepts: for as long as there may be any, even of a key that was leaked,
/// whose tokens are then known by their secret alone.
pub fn refresh_keys(keyring: &Keyring, guards: Guards<'_>, now: Instant) -> JwkSet {
    keyring.jwk_set(|row| {
        row.purpose == Purpose::Token && guards.needed_until(row).is_none_or(|until| now < until)
    })
}

/// A token of ours, of either kind.
pub enum OwnToken {
    /// Names its session.
    Access(SessionId),
    /// Names its session, and its place in it.
    Refresh(Presented),
}

impl Tokens {
    /// Trusts the keys of `keyring` for tokens whose `iss` is `issuer`.
    pub fn new(
        issuer: &str,
        keyring: &Keyring,
        guards: Guards<'_>,
        clock: &Clock,
    ) -> Result<Self, BuildError> {
        let builder = || {
            Verifier::builder(issuer)
                .leeway(Duration::ZERO)
                .issuer_ahead(CLOCKS_APART)
                .algorithms(&[Algorithm::Rs256, Algorithm::Es256])
                .clock(clock.clone())
        };
        Ok(Self {
            access: builder().any_audience().build_offline(&access_keys(keyring))?,
            refresh: builder()
                .audience(issuer)
                .token_type(TokenType::Exactly(typ::REFRESH))
                .build_offline(&refresh_keys(keyring, guards, clock.now()))?,
            leaked: keyring.table().ledger.iter().flat_map(|ledger| ledger.compromised.clone()).collect(),
        })
    }

    /// Reads a token of either kind. [`Error::TypeMismatch`] means neither: our keys never signed it.
    pub fn read(&self, token: &str) -> Result<OwnToken, Error> {
        match self.refresh.verify::<RefreshTokenClaims>(token) {
            Ok(verified) => Ok(OwnToken::Refresh(self.presented(verified))),
            Err(Error::TypeMismatch) => {
                let access = self.access.verify::<AccessTokenClaims>(token)?;
                Ok(OwnToken::Access(SessionId(access.claims.sid)))
            }
            Err(error) => Err(error),
        }
    }

    fn presented(&self, verified: Verified<RefreshTokenClaims>) -> Presented {
        let claims = verified.claims;
        Presented {
            sid: SessionId(claims.sid),
            generation: claims.generation,
            jti: Jti::new(claims.jti),
            key_is_trusted: self.leaked.iter().all(|kid| **kid != *verified.kid),
        }
    }
}
