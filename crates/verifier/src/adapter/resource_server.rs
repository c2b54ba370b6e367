use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::denied::Denied;
use crate::bearer::bearer_token;
use crate::error::Error;
use crate::issuers::Verifiers;
use crate::protected_resource::ProtectedResource;
use crate::verifier::{Verified, Verifier};

/// A [`Verifier`], or [`Verifiers`] of several issuers, and how the service around it answers. All adapters are made from
/// one; clones are cheap. They check tokens by [`Verifier::verify`](crate::Verifier::verify): one with a key that is not
/// known yet is refused at once, and its client has to try again.
///
/// ```
/// # use attesto_verifier::{ProtectedResource, ResourceServer, Verifier};
/// # fn service(verifier: Verifier) -> Result<ResourceServer, attesto_verifier::InvalidResource> {
/// let resource = ProtectedResource::new("https://orders.example")?.authorization_server("https://auth.example");
/// let server = ResourceServer::new(verifier)
///     .realm("orders")
///     .require_scopes(&["orders:read"])
///     .protected_resource(resource);
/// # Ok(server)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ResourceServer {
    verifiers: Verifiers,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    realm: String,
    required_scopes: Vec<String>,
    resource: Option<ProtectedResource>,
}

impl ResourceServer {
    /// Accepts what the verifier accepts, or any of [`Verifiers`].
    pub fn new(verifiers: impl Into<Verifiers>) -> Self {
        let settings = Settings { realm: "api".to_owned(), required_scopes: Vec::new(), resource: None };
        Self { verifiers: verifiers.into(), settings: Arc::new(settings) }
    }

    /// The name of what is protected, for people (RFC 9110 §11.5): `api` unless told. A challenge has one always, since
    /// RFC 6750 §3 wants a parameter and a request without a token causes no other.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.settings_mut().realm = realm.into();
        self
    }

    /// Refuses tokens that do not have all of these scopes, beside those of earlier calls. To ask for more in one part of
    /// a service, protect that part with a clone that requires more, or ask in the handler:
    ///
    /// ```
    /// # use attesto_verifier::{Denied, ResourceServer, Verified};
    /// # fn handler(server: &ResourceServer, user: &Verified<()>) -> Result<(), Denied> {
    /// // Behind a layer or a middleware; an `Authenticated` knows the server by itself.
    /// user.require_scope("orders:write").map_err(|error| server.deny(error))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_scopes(mut self, scopes: &[&str]) -> Self {
        self.settings_mut().required_scopes.extend(scopes.iter().copied().map(str::to_owned));
        self
    }

    /// Names the address of this document in each challenge (RFC 9728 §5.1). A layer or middleware around the whole
    /// application serves it as well. Around a part of it, and beside an extractor, it needs a route.
    pub fn protected_resource(mut self, resource: ProtectedResource) -> Self {
        self.settings_mut().resource = Some(resource);
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Judges a request by the values of all its `Authorization` headers, as the adapters do. For a framework without
    /// one.
    ///
    /// # Errors
    ///
    /// The answer to any [`Error`] of [`bearer_token`], of the verifier, and of the scopes that are required here.
    pub fn authenticate<'a, C: DeserializeOwned>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Verified<C>, Denied> {
        self.verified(authorization).map_err(|error| self.deny(error))
    }

    fn verified<'a, C: DeserializeOwned>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Verified<C>, Error> {
        let verified = self.verifiers.verify(bearer_token(authorization)?)?;
        verified.std.require_scopes(&self.settings.required_scopes)?;
        Ok(verified)
    }

    /// The answer of this service to an error.
    pub fn deny(&self, error: Error) -> Denied {
        let metadata = self.settings.resource.as_ref().map(ProtectedResource::url);
        Denied::new(error, &self.settings.realm, metadata.as_deref())
    }

    /// The document of RFC 9728, if it is what this request is for.
    #[cfg(any(feature = "actix", feature = "tower"))]
    pub(crate) fn metadata(&self, method: &str, path: &str) -> Option<String> {
        let resource = self.settings.resource.as_ref()?;
        let is_asked_for = matches!(method, "GET" | "HEAD") && path == resource.well_known_path();
        is_asked_for.then(|| resource.to_json())
    }
}

impl From<Verifier> for ResourceServer {
    fn from(verifier: Verifier) -> Self {
        Self::new(verifier)
    }
}

impl From<Verifiers> for ResourceServer {
    fn from(verifiers: Verifiers) -> Self {
        Self::new(verifiers)
    }
}
