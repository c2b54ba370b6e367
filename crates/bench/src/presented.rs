use attesto_core::{Jti, Presented, SessionId};
use attesto_token::{CompactJws, RefreshTokenClaims};

use crate::Outcome;

/// A refresh token as the server sees it when its signature is checked.
pub fn presented(token: &str) -> Outcome<Presented> {
    let claims = claims(token)?;
    Ok(Presented {
        sid: SessionId(claims.sid),
        generation: claims.generation,
        jti: Jti::new(claims.jti),
        key_is_trusted: true,
    })
}

/// What a refresh token says.
pub fn claims(token: &str) -> Outcome<RefreshTokenClaims> {
    Ok(serde_json::from_slice(&CompactJws::split(token)?.payload()?)?)
}
