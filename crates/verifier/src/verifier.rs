use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use attesto_token::{Algorithm, CompactJws, JwkSet, parse_strict_json};
use serde::de::DeserializeOwned;

use crate::builder::{BuildError, VerifierBuilder};
use crate::claims::StandardClaims;
use crate::error::Error;
#[cfg(feature = "reqwest")]
use crate::fetch::Refresh;
use crate::keys::{KeySet, NoUsableKey};
use crate::policy::Policy;

/// Checks tokens of one issuer. Clones are cheap and share their keys.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    policy: Policy,
    keys: Arc<ArcSwap<KeySet>>,
    #[cfg(feature = "reqwest")]
    refresh: Option<Refresh>,
}

/// A token that has passed every check. Only [`Verifier::verify`] makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified<C> {
    /// The claims, as the caller's own type.
    pub claims: C,
    /// The claims that every token has.
    pub std: StandardClaims,
    /// The key that signed it.
    pub kid: Arc<str>,
    /// The algorithm of that key.
    pub alg: Algorithm,
}

impl Verifier {
    /// Starts with the issuer: its URL, byte for byte as it stands in `iss`.
    pub fn builder(issuer: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into())
    }

    /// A verifier for one issuer and audience with keys that are at hand; everything else as by default.
    pub fn from_jwks(issuer: &str, audience: &str, jwks: &JwkSet) -> Result<Self, BuildError> {
        Self::builder(issuer).audience(audience).build_offline(jwks)
    }

    pub(crate) fn new(policy: Policy, keys: KeySet) -> Self {
        Self(Arc::new(Inner {
            policy,
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            #[cfg(feature = "reqwest")]
            refresh: None,
        }))
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn refreshed(policy: Policy, keys: Arc<ArcSwap<KeySet>>, refresh: Refresh) -> Self {
        Self(Arc::new(Inner { policy, keys, refresh: Some(refresh) }))
    }

    /// Checks a token, without the `Bearer` before it, and reads its claims into `C`.
    ///
    /// Never waits and never touches the network: one atomic load and one signature. An unknown key is
    /// [`Error::KeyUnknown`] at once.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        let policy = &self.0.policy;

        let jws = CompactJws::split(token)?;
        let header = jws.header()?;
        let alg = policy.check_algorithm(&header.alg)?;
        policy.check_type(header.typ.as_deref())?;

        let kid = header.kid.ok_or(Error::KeyUnknown)?;
        let keys = self.0.keys.load();
        let key = keys.find(&kid, Instant::now());
        // An unknown key may be a new one. A bad signature under a known key is no reason to ask.
        #[cfg(feature = "reqwest")]
        if let (Err(Error::KeyUnknown), Some(refresh)) = (&key, &self.0.refresh) {
            refresh.unknown_kid();
        }
        let key = key?;
        let payload = key.verified_payload(&jws, alg)?;

        let claims = parse_strict_json(&payload).map_err(|_| Error::Malformed)?;
        let std = StandardClaims::check(&claims, policy, policy.clock.unix_now())?;
        // Read again rather than from `claims`, so that `C` sees the issuer's own spelling of each value.
        let claims = serde_json::from_slice(&payload).map_err(|_| Error::ClaimsMismatch)?;
        Ok(Verified { claims, std, kid: Arc::clone(&key.kid), alg })
    }

    /// Replaces all keys by those of this set. A set without a usable key is refused and the old keys stay.
    pub fn replace_keys(&self, jwks: &JwkSet) -> Result<(), NoUsableKey> {
        self.0.keys.store(Arc::new(KeySet::new(jwks)?));
        Ok(())
    }
}

#[cfg(feature = "reqwest")]
impl Verifier {
    pub(crate) fn keys(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.0.keys.load()
    }

    pub(crate) fn refresh(&self) -> Option<&Refresh> {
        self.0.refresh.as_ref()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.0.policy.issuer).finish_non_exhaustive()
    }
}

impl<C> Verified<C> {
    /// Fails with [`Error::InsufficientScope`] if the token does not have this scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Error> {
        self.std.require_scopes(&[scope.to_owned()])
    }
}
