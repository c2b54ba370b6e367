use actix_web::web;
use attesto_core::ClientId;

use super::answer::Empty;
use super::error::SimpleJwtError;
use super::fields::Fields;
use super::refresh::Refresh;
use crate::app::App;
use crate::caller::Caller;
use crate::session::end;

/// `POST /api/token/blacklist/`: ends the session of a refresh token.
pub async fn blacklist(
    app: web::Data<App>,
    caller: Caller,
    fields: Fields<Refresh>,
) -> Result<Empty, SimpleJwtError> {
    let now = app.clock.now();
    let presented = fields.into_inner().read(&app)?;
    end(&app, &ClientId::simplejwt(), &presented, &caller, now).await??;
    Ok(Empty {})
}
