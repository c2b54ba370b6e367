use actix_web::web;
use attesto_core::ClientId;

use super::answer::Renewed;
use super::error::SimpleJwtError;
use super::fields::{Fields, FromFields, Reader};
use crate::app::App;
use crate::caller::Caller;
use crate::session::{Renewal, renew};

/// What a refresh sends.
pub struct Refresh {
    pub(super) refresh: String,
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
    let now = app.clock.now();
    let presented = app.tokens.read_refresh(&fields.into_inner().refresh)?;
    Ok(match renew(&app, &ClientId::simplejwt(), &presented, &caller, now).await?? {
        Renewal::Pair(pair) => Renewed { access: pair.access, refresh: Some(pair.refresh) },
        Renewal::Access(access) => Renewed { access, refresh: None },
    })
}
