use actix_web::{rt, web};
use attesto_core::{ClientId, Password};

use super::answer::Pair;
use super::error::SimpleJwtError;
use super::fields::{Fields, FromFields, Reader};
use crate::app::App;
use crate::caller::Caller;
use crate::sign_in::sign_in;
use crate::unavailable::Unavailable;

/// What a sign-in sends.
pub struct Obtain {
    username: String,
    password: Password,
}

impl FromFields for Obtain {
    fn from_fields(fields: &mut Reader) -> Self {
        Self { username: fields.text("username"), password: Password::typed(fields.text("password")) }
    }
}

/// `POST /api/token/`: a pair for a user name and a password.
pub async fn obtain(
    app: web::Data<App>,
    caller: Caller,
    fields: Fields<Obtain>,
) -> Result<Pair, SimpleJwtError> {
    // A task of its own: a caller that hangs up must not leave its attempt counted, or half done.
    let task = rt::spawn(async move {
        let Obtain { username, password } = fields.into_inner();
        sign_in(&app, &ClientId::simplejwt(), &username, password, &caller).await
    });
    let pair = task.await.map_err(|_| Unavailable::Cancelled)???;
    Ok(Pair { refresh: pair.refresh, access: pair.access })
}
