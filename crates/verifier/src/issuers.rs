use std::borrow::Cow;
use std::sync::Arc;

use attesto_token::CompactJws;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::builder::BuildError;
use crate::error::Error;
use crate::verifier::{Verified, Verifier};

/// Verifiers of several issuers. Each keeps its own keys and its own revocations: a key of one issuer is never tried on
/// a token of another, even if both use the same `kid`. A user is known by `iss` and `sub` together: two issuers may
/// both have a user `1`.
///
/// ```
/// # use attesto_verifier::{JwkSet, Verifier, Verifiers, BuildError};
/// # fn verifiers(ours: Verifier, theirs: Verifier) -> Result<(), BuildError> {
/// let verifiers = Verifiers::new([ours, theirs])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verifiers(Arc<[Verifier]>);

/// The one claim that is looked at before anything is verified, and only to choose who verifies.
#[derive(Deserialize)]
struct Issued<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
}

impl Verifiers {
    /// Takes one verifier for each issuer.
    ///
    /// # Errors
    ///
    /// [`BuildError::IssuerMissing`] without any, [`BuildError::IssuerTwice`] if two are for the same one.
    pub fn new(verifiers: impl IntoIterator<Item = Verifier>) -> Result<Self, BuildError> {
        let verifiers: Arc<[Verifier]> = verifiers.into_iter().collect();
        if verifiers.is_empty() {
            return Err(BuildError::IssuerMissing);
        }
        let issuer = |verifier: &Verifier| verifier.policy().issuer.clone();
        for (index, verifier) in verifiers.iter().enumerate() {
            if verifiers[..index].iter().any(|other| issuer(other) == issuer(verifier)) {
                return Err(BuildError::IssuerTwice);
            }
        }
        Ok(Self(verifiers))
    }

    /// All of them: to ask each whether it is [ready](Verifier::ready_blocking), for example.
    pub fn iter(&self) -> impl Iterator<Item = &Verifier> {
        self.0.iter()
    }

    /// [`Verifier::verify`] by the verifier of the token's issuer.
    ///
    /// # Errors
    ///
    /// Those of that verifier, and of [`of`](Self::of) if there are several.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        match &*self.0 {
            // It says by itself what it thinks of the token.
            [only] => only.verify(token),
            _ => self.of(token)?.verify(token),
        }
    }

    /// The verifier of the issuer that a token claims to be from, which can be asked to
    /// [wait](Verifier::verify_blocking). Nothing about the token is verified yet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], and [`Error::Malformed`] for what is no token or does not name its issuer;
    /// [`Error::IssuerMismatch`] if there is no such verifier.
    pub fn of(&self, token: &str) -> Result<&Verifier, Error> {
        let payload = CompactJws::split(token)?.payload()?;
        let issued: Issued<'_> = serde_json::from_slice(&payload).map_err(|_| Error::Malformed)?;
        self.0.iter().find(|verifier| verifier.policy().issuer == issued.iss).ok_or(Error::IssuerMismatch)
    }
}

impl From<Verifier> for Verifiers {
    fn from(verifier: Verifier) -> Self {
        Self(Arc::new([verifier]))
    }
}
