use actix_web::web;

use super::answer::Empty;
use super::error::SimpleJwtError;
use super::fields::{Fields, FromFields, Reader};
use crate::app::App;
use crate::session::{check, check_refresh};
use crate::tokens::OwnToken;

/// What is to be verified.
pub struct Verify {
    token: String,
}

impl FromFields for Verify {
    fn from_fields(fields: &mut Reader) -> Self {
        Self { token: fields.text("token") }
    }
}

/// `POST /api/token/verify/`: whether a token of either kind is good, its session included.
pub async fn verify(app: web::Data<App>, fields: Fields<Verify>) -> Result<Empty, SimpleJwtError> {
    let now = app.clock.now();
    let checked = match app.keys.loaded().tokens.read(&fields.into_inner().token)? {
        OwnToken::Access(sid) => check(&app, sid, now).await?,
        OwnToken::Refresh(presented) => check_refresh(&app, &presented, now).await?,
    };
    checked.map_err(|_| SimpleJwtError::VerifiedTokenRevoked)?;
    Ok(Empty {})
}
