use std::time::Duration;

use attesto_token::{Algorithm, JwkSet};

use crate::clock::{Clock, SystemClock};
#[cfg(feature = "reqwest")]
use crate::fetch::Source;
use crate::keys::{KeySet, NoUsableKey};
use crate::policy::{Audience, Policy, TokenType};
use crate::verifier::Verifier;

const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// What a [`Verifier`] shall accept. Made by [`Verifier::builder`].
#[must_use = "a builder verifies nothing"]
pub struct VerifierBuilder {
    issuer: String,
    audience: Audience,
    algorithms: Vec<Algorithm>,
    token_type: TokenType,
    leeway: Duration,
    required_scopes: Vec<String>,
    clock: Box<dyn Clock>,
    #[cfg(feature = "reqwest")]
    pub(crate) source: Source,
}

/// Why a verifier cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is empty.
    #[error("an issuer is required")]
    IssuerMissing,
    /// No audience was given, or an empty one: a token for any other service would be accepted (RFC 9068 §4).
    #[error("an audience is required")]
    AudienceMissing,
    /// The list of algorithms is empty.
    #[error("an algorithm is required")]
    AlgorithmMissing,
    /// The leeway is longer than 60 seconds.
    #[error("the leeway is longer than 60 seconds")]
    LeewayTooLong,
    /// See [`NoUsableKey`].
    #[error(transparent)]
    NoUsableKey(#[from] NoUsableKey),
    /// The address of the JWK Set is no `http` or `https` URL.
    #[error("the address of the JWK Set is not a URL")]
    JwksUrlInvalid,
    /// The address of the JWK Set is neither `https` nor a loopback address.
    #[error("the address of the JWK Set is not https")]
    JwksUrlInsecure,
    /// The refresh interval is shorter than a second or longer than a day.
    #[error("the refresh interval is shorter than a second or longer than a day")]
    RefreshInterval,
    /// There is no tokio runtime here to fetch keys on.
    #[error("there is no tokio runtime")]
    NoRuntime,
    /// The HTTP client does not start; without the certificates of the system, for example.
    #[error("the HTTP client does not start: {0}")]
    HttpClient(String),
}

impl VerifierBuilder {
    pub(crate) fn new(issuer: String) -> Self {
        Self {
            issuer,
            audience: Audience::OneOf(Vec::new()),
            algorithms: vec![Algorithm::Rs256],
            token_type: TokenType::default(),
            leeway: Duration::from_secs(30),
            required_scopes: Vec::new(),
            clock: Box::new(SystemClock),
            #[cfg(feature = "reqwest")]
            source: Source::default(),
        }
    }

    /// Accepts tokens for this audience. Required; if called repeatedly, any of them will do.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let mut ours = match self.audience {
            Audience::OneOf(ours) => ours,
            Audience::Any => Vec::new(),
        };
        ours.push(audience.into());
        self.audience = Audience::OneOf(ours);
        self
    }

    /// Accepts tokens for whomever they are. That is right for the issuer itself and for a gateway that passes the
    /// token on; a service that does so accepts tokens that were made for any other (RFC 9068 §5).
    pub fn any_audience(mut self) -> Self {
        self.audience = Audience::Any;
        self
    }

    /// Accepts these algorithms instead of RS256 alone.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Accepts this kind of token instead of access tokens.
    pub fn token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// How far the clocks may lie apart: 30 seconds unless told, at most 60.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Refuses every token that lacks one of these scopes, as
    /// [`InsufficientScope`](crate::Error::InsufficientScope).
    pub fn require_scopes(mut self, scopes: &[&str]) -> Self {
        self.required_scopes = scopes.iter().copied().map(str::to_owned).collect();
        self
    }

    /// Takes the time from this clock instead of the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Builds a verifier with the keys of this set. It never touches the network; new keys come in through
    /// [`Verifier::replace_keys`].
    pub fn build_offline(self, jwks: &JwkSet) -> Result<Verifier, BuildError> {
        let policy = self.into_policy()?;
        Ok(Verifier::new(policy, KeySet::new(jwks)?))
    }

    pub(crate) fn into_policy(self) -> Result<Policy, BuildError> {
        if self.issuer.is_empty() {
            return Err(BuildError::IssuerMissing);
        }
        if let Audience::OneOf(ours) = &self.audience
            && (ours.is_empty() || ours.iter().any(String::is_empty))
        {
            return Err(BuildError::AudienceMissing);
        }
        if self.algorithms.is_empty() {
            return Err(BuildError::AlgorithmMissing);
        }
        if self.leeway > MAX_LEEWAY {
            return Err(BuildError::LeewayTooLong);
        }
        Ok(Policy {
            issuer: self.issuer,
            audience: self.audience,
            algorithms: self.algorithms,
            token_type: self.token_type,
            leeway: self.leeway.as_secs().cast_signed(),
            required_scopes: self.required_scopes,
            clock: self.clock,
        })
    }
}
