use actix_web::web;
use attesto_core::{ClientId, Presented};

use super::answer::Renewed;
use super::error::SimpleJwtError;
use super::fields::{Fields, FromFields, Reader};
use crate::app::App;
use crate::caller::Caller;
use crate::session::{Renewal, renew};
use crate::tokens::OwnToken;

/// What a refresh sends.
pub struct Refresh {
    refresh: String,
}

impl Refresh {
    /// The token, once its signature and its times are verified.
    pub(super) fn read(&self, app: &App) -> Result<Presented, SimpleJwtError> {
        match app.keys.loaded().tokens.read(&self.refresh)? {
            OwnToken::Refresh(presented) => Ok(presented),
            OwnToken::Access(_) => Err(SimpleJwtError::NotARefreshToken),
        }
    }
}

impl FromFields for Refresh {
    fn from_fields(fields: &mut Reader) -> Self {
        Self { refresh: fields.text("refresh") }
    }
}

/// `POST /api/token/refresh/`: the next pair for a refresh token.
pub async fn refresh(
    app: web::Data<App>,
    caller: Caller,
    fields: Fields<Refresh>,
) -> Result<Renewed, SimpleJwtError> {
    app.renewals.require_room()?;
    // What is no token takes nobody's place.
    let presented = fields.into_inner().read(&app)?;
    // Others that write wait for this one, to become durable together.
    let mut write = app.store.expect_write();
    let _inside = app.renewals.enter().await?;
    let now = app.clock.now();
    Ok(match renew(&app, &ClientId::simplejwt(), &presented, &caller, now, &mut write).await?? {
        Renewal::Pair(pair) => Renewed { access: pair.access, refresh: Some(pair.refresh) },
        Renewal::Access(access) => Renewed { access, refresh: None },
    })
}
