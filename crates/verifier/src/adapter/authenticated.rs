use std::ops::Deref;

use super::denied::Denied;
use super::resource_server::ResourceServer;
use crate::verifier::Verified;

/// The argument of a handler that is called with a good access token alone: its [`Verified`] claims, as `C`.
///
/// Every other request is answered with [`Denied`], as RFC 6750 says.
///
/// It needs the [`ResourceServer`], also where a layer or middleware has let the request through already: in the
/// `app_data` of an actix app, as it is and not within a `web::Data`; or as the state of an axum router, or out of that by
/// `FromRef`. Where axum has none, the compiler says that `Handler` is not satisfied.
///
/// Handlers that answer everybody take, with axum, an `Option<Authenticated<C>>`, which is `None` without a token and
/// still denies a bad one; with actix-web, whose `Option` is `None` for whatever reason, a
/// `Result<Authenticated<C>, actix_web::Error>`.
#[derive(Clone, Debug)]
pub struct Authenticated<C> {
    verified: Verified<C>,
    server: ResourceServer,
}

impl<C> Authenticated<C> {
    pub(crate) fn new(verified: Verified<C>, server: ResourceServer) -> Self {
        Self { verified, server }
    }

    /// Asks for one scope more.
    ///
    /// # Errors
    ///
    /// The 403 of RFC 6750 §3.1 if the token does not have this scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Denied> {
        self.verified.require_scope(scope).map_err(|error| self.server.deny(error))
    }

    /// The claims alone.
    pub fn into_inner(self) -> Verified<C> {
        self.verified
    }
}

impl<C> Deref for Authenticated<C> {
    type Target = Verified<C>;

    fn deref(&self) -> &Verified<C> {
        &self.verified
    }
}
