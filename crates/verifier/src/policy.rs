use std::time::Duration;

use attesto_token::{Algorithm, typ};

use crate::error::Error;

/// The kind of token that is accepted: the `typ` of its header, compared without regard to case and with or without
/// `application/` before it (RFC 7515 §4.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// An access token, `at+jwt` (RFC 9068 §2.1).
    #[default]
    AtJwt,
    /// Another kind, and only that one.
    Exactly(&'static str),
    /// Any kind, or none: for issuers that do not say. A token that the same keys signed for another purpose passes
    /// then, if its claims allow (RFC 8725 §3.11).
    Any,
}

impl TokenType {
    fn media_type(self) -> Option<&'static str> {
        match self {
            Self::AtJwt => Some(typ::ACCESS),
            Self::Exactly(name) => Some(name),
            Self::Any => None,
        }
    }
}

/// Whom a token may be for.
#[derive(Clone)]
pub(crate) enum Audience {
    OneOf(Vec<String>),
    Any,
}

impl Audience {
    pub(crate) fn accepts<'a>(&self, mut named: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::OneOf(ours) => named.any(|audience| ours.iter().any(|own| own == audience)),
            Self::Any => true,
        }
    }
}

/// What a token has to be, fixed when the verifier is built.
pub(crate) struct Policy {
    pub(crate) issuer: String,
    pub(crate) audience: Audience,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) token_type: TokenType,
    /// In seconds.
    pub(crate) leeway: i64,
    /// In seconds, beyond the leeway.
    pub(crate) issuer_ahead: i64,
    pub(crate) required_scopes: Vec<String>,
    /// How old fetched keys may be.
    pub(crate) max_key_age: Duration,
}

impl Policy {
    /// RFC 8725 §3.1: the verifier has the list, the token only picks from it.
    pub(crate) fn check_algorithm(&self, alg: &str) -> Result<Algorithm, Error> {
        alg.parse().ok().filter(|alg| self.algorithms.contains(alg)).ok_or(Error::AlgNotAllowed)
    }

    /// RFC 8725 §3.11: an ID token, a refresh token or a logout token is no access token.
    pub(crate) fn check_type(&self, typ: Option<&str>) -> Result<(), Error> {
        let Some(expected) = self.token_type.media_type().map(without_application) else { return Ok(()) };
        match typ {
            Some(typ) if without_application(typ).eq_ignore_ascii_case(expected) => Ok(()),
            _ => Err(Error::TypeMismatch),
        }
    }
}

fn without_application(media_type: &str) -> &str {
    const PREFIX: &str = "application/";
    match media_type.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => media_type,
    }
}
