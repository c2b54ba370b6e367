use clap::ValueEnum;

use super::asker::Asker;

/// Whom one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Keeps nothing, and only signs a pair or sends a document.
    Program,
    Attesto,
    /// Another one, because hashing leaves its memory behind.
    AttestoSignIns,
    /// With refresh tokens signed by ES256.
    AttestoEs256,
    /// On all cores, with as many workers.
    AttestoOnAllCores,
    SimpleJwt,
    OidcProvider,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum What {
    /// The next pair.
    Refresh,
    /// The first pair, for a password.
    SignIn,
    /// The same, with a hash that costs next to nothing.
    Pair,
    /// Whether an access token is good.
    Verify,
    /// The key set.
    Jwks,
    /// The key set that the asker has already.
    JwksUnchanged,
}

/// Who asks one of the servers for one thing.
pub struct Contender {
    pub what: What,
    /// Which of the servers.
    pub server: usize,
    /// Some of them ask at the same time.
    pub askers: Vec<Asker>,
    pub connections: &'static [usize],
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "bare program",
            Self::Attesto => "attesto",
            Self::AttestoSignIns => "attesto for sign-ins",
            Self::AttestoEs256 => "attesto, refresh tokens ES256",
            Self::AttestoOnAllCores => "attesto on all cores",
            Self::SimpleJwt => "SimpleJWT, gunicorn",
            Self::OidcProvider => "oidc-provider",
        }
    }
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::SignIn => "sign-in",
            Self::Pair => "sign-in without its hash",
            Self::Verify => "verify",
            Self::Jwks => "JWKS",
            Self::JwksUnchanged => "JWKS 304",
        }
    }
}
