use std::borrow::Cow;
use std::sync::Arc;

use attesto_token::CompactJws;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::builder::BuildError;
use crate::error::Error;
use crate::verifier::{Verified, Verifier};

/// Verifiers of several issuers. Each keeps its own keys and its own revocations: a key of one issuer is never tried on
/// a token of another, even if both use the same `kid`.
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
    /// [`BuildError::IssuerTwice`] if two are for the same one.
    pub fn new(verifiers: impl IntoIterator<Item = Verifier>) -> Result<Self, BuildError> {
        let verifiers: Arc<[Verifier]> = verifiers.into_iter().collect();
        let issuer = |verifier: &Verifier| verifier.policy().issuer.clone();
        for (index, verifier) in verifiers.iter().enumerate() {
            if verifiers[..index].iter().any(|other| issuer(other) == issuer(verifier)) {
                return Err(BuildError::IssuerTwice);
            }
        }
        Ok(Self(verifiers))
    }

    /// [`Verifier::verify`] by the verifier of the token's issuer.
    ///
    /// # Errors
    ///
    /// Those of [`of`](Self::of), and of that verifier.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Verified<C>, Error> {
        self.of(token)?.verify(token)
    }

    /// The verifier of the issuer that a token claims to be from. Nothing about the token is verified yet.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] and [`Error::TooLarge`] for what is no token at all, [`Error::IssuerMismatch`] if there is no
    /// such verifier. None if there is but one verifier: it says by itself what it thinks of the token.
    pub fn of(&self, token: &str) -> Result<&Verifier, Error> {
        if let [only] = &*self.0 {
            return Ok(only);
        }
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
