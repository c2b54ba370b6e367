use axum_core::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::authenticated::Authenticated;
use super::denied::Denied;
use super::resource_server::ResourceServer;
use super::tower::{authorization, json};
use crate::error::Error;
use crate::issuers::Verifiers;
use crate::protected_resource::ProtectedResource;
use crate::verifier::Verifier;

/// A [`Verifier`] can be the whole state of a router. A state with more in it holds a [`ResourceServer`] and derives
/// `FromRef`; without one, a handler with [`Authenticated`] does not compile.
impl FromRef<Verifier> for ResourceServer {
    fn from_ref(verifier: &Verifier) -> Self {
        Self::new(verifier.clone())
    }
}

/// So can [`Verifiers`] of several issuers.
impl FromRef<Verifiers> for ResourceServer {
    fn from_ref(verifiers: &Verifiers) -> Self {
        Self::new(verifiers.clone())
    }
}

impl<S, C> FromRequestParts<S> for Authenticated<C>
where
    S: Send + Sync,
    ResourceServer: FromRef<S>,
    C: DeserializeOwned,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let server = ResourceServer::from_ref(state);
        let verified = server.authenticate(authorization(&parts.headers))?;
        Ok(Self::new(verified, server))
    }
}

/// `None` without a token. A token that is not good is denied all the same.
impl<S, C> OptionalFromRequestParts<S> for Authenticated<C>
where
    S: Send + Sync,
    ResourceServer: FromRef<S>,
    C: DeserializeOwned,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Denied> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Err(denied) if *denied.error() == Error::Missing => Ok(None),
            judged => judged.map(Some),
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.into_http()
    }
}

/// The document: `.route(resource.well_known_path(), get(resource.clone()))`.
impl IntoResponse for ProtectedResource {
    fn into_response(self) -> Response {
        json(self.to_json())
    }
}
