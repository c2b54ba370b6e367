use std::fmt;
use std::str::FromStr;

use super::record::Purpose;

/// What the authority signs with (RFC 7518 §3.1). A key has one of them, and no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 using SHA-256.
    #[default]
    Rs256,
    /// ECDSA using P-256 and SHA-256.
    Es256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The authority does not sign with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is RS256 or ES256")]
pub struct UnknownSigningAlgorithm;

impl FromStr for SigningAlgorithm {
    type Err = UnknownSigningAlgorithm;

    /// Case-sensitive, as RFC 7515 §4.1.1 says.
    fn from_str(name: &str) -> Result<Self, UnknownSigningAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(UnknownSigningAlgorithm)
    }
}

/// The keys that follow each other: those of one purpose and one algorithm. One of them is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// What they sign.
    pub purpose: Purpose,
    /// How.
    pub algorithm: SigningAlgorithm,
}

impl Line {
    /// The keys that sign tokens with `algorithm`.
    pub fn of_tokens(algorithm: SigningAlgorithm) -> Self {
        Self { purpose: Purpose::Token, algorithm }
    }

    /// The keys that sign the revocation feed: its answers are many and short, so are these signatures.
    pub fn of_feed() -> Self {
        Self { purpose: Purpose::Feed, algorithm: SigningAlgorithm::Es256 }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.purpose.as_str(), self.algorithm)
    }
}
