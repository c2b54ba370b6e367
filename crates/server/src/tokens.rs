use std::time::Duration;

use attesto_core::{Jti, Presented, SessionId};
use attesto_token::{AccessTokenClaims, JwkSet, RefreshTokenClaims, typ};
use attesto_verifier::{BuildError, Error, TokenType, Verifier};

use crate::clock::Clock;

/// Checks the authority's own tokens, with the verifier that everybody else uses: no leeway, its keys handed over in
/// process, those included that are no longer published.
pub struct Tokens {
    access: Verifier,
    refresh: Verifier,
}

/// A token of ours, of either kind.
pub enum OwnToken {
    /// Names its session.
    Access(SessionId),
    /// Names its session, and its place in it.
    Refresh(Presented),
}

impl Tokens {
    /// Trusts `keys` for tokens whose `iss` is `issuer`.
    pub fn new(issuer: &str, keys: &JwkSet, clock: &Clock) -> Result<Self, BuildError> {
        let builder = || Verifier::builder(issuer).leeway(Duration::ZERO).clock(clock.clone());
        Ok(Self {
            access: builder().any_audience().build_offline(keys)?,
            refresh: builder()
                .audience(issuer)
                .token_type(TokenType::Exactly(typ::REFRESH))
                .build_offline(keys)?,
        })
    }

    /// Reads a token of either kind. [`Error::TypeMismatch`] means neither: our keys never signed it.
    pub fn read(&self, token: &str) -> Result<OwnToken, Error> {
        match self.refresh.verify::<RefreshTokenClaims>(token) {
            Ok(verified) => Ok(OwnToken::Refresh(presented(verified.claims))),
            Err(Error::TypeMismatch) => {
                let access = self.access.verify::<AccessTokenClaims>(token)?;
                Ok(OwnToken::Access(SessionId(access.claims.sid)))
            }
            Err(error) => Err(error),
        }
    }
}

fn presented(claims: RefreshTokenClaims) -> Presented {
    Presented { sid: SessionId(claims.sid), generation: claims.generation, jti: Jti::new(claims.jti) }
}
