mod plain;
mod raw;
mod set;

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::policy::Policy;
use raw::{Json, RawClaims};
pub(crate) use set::ClaimsSet;

/// The claims that this crate knows (RFC 9068 §2.2), checked. Every accepted token has them, but for those that are an
/// `Option` or may be empty.
#[derive(Clone)]
#[non_exhaustive]
pub struct StandardClaims {
    /// `iss`: the expected issuer.
    pub issuer: String,
    /// `sub`: the user, or the client itself where no user takes part.
    pub subject: String,
    /// `aud`: all audiences, among them an expected one.
    pub audience: Vec<String>,
    /// `exp`: the first second at which the token is no longer valid, since 1970.
    pub expires_at: i64,
    /// `iat`: when it was issued, in seconds since 1970.
    pub issued_at: i64,
    /// `nbf`: before when it is not valid, in seconds since 1970, if it says so.
    pub not_before: Option<i64>,
    /// `jti`: the token's own identifier.
    pub jti: String,
    /// `client_id`: the client that obtained it (RFC 8693 §4.3).
    pub client_id: String,
    /// `sid`: the session that it belongs to, if it belongs to one.
    pub sid: Option<String>,
    /// `scope`: what it is good for (RFC 8693 §4.2); empty if the claim is absent.
    pub scope: Vec<String>,
    /// All claims.
    pub(crate) set: ClaimsSet,
}

impl StandardClaims {
    /// Reads and checks the claims: time first, then who made the token for whom, then the rest.
    pub(crate) fn read(set: ClaimsSet, policy: &Policy, now: i64) -> Result<Self, Error> {
        let claims = RawClaims::parse(&set)?;
        let (issued_at, not_before, expires_at) = times(&claims, policy, now)?;
        let issuer = required(claims.iss, "iss")?;
        if issuer != policy.issuer {
            return Err(Error::IssuerMismatch);
        }
        let audience = audience(claims.aud)?;
        if !policy.audience.accepts(&audience) {
            return Err(Error::AudienceMismatch);
        }
        let checked = Self {
            issuer,
            audience,
            expires_at,
            issued_at,
            not_before,
            subject: required(claims.sub, "sub")?,
            client_id: required(claims.client_id, "client_id")?,
            jti: required(claims.jti, "jti")?,
            sid: claims.sid.map(|sid| string(sid, "sid")).transpose()?,
            scope: scope(claims.scope)?,
            set,
        };
        checked.require_scopes(&policy.required_scopes)?;
        Ok(checked)
    }

    /// Whether it is good at this time.
    pub(crate) fn check_times(&self, policy: &Policy, now: i64) -> Result<(), Error> {
        let present = Present::at(now, policy);
        present.check_issued(self.issued_at)?;
        present.check_begun(self.not_before)?;
        present.check_lasts(self.expires_at)
    }

    pub(crate) fn require_scopes(&self, required: &[String]) -> Result<(), Error> {
        if required.iter().all(|scope| self.scope.contains(scope)) {
            return Ok(());
        }
        Err(Error::InsufficientScope { required: required.to_vec() })
    }
}

/// Without `jti`: that of a refresh token is a secret.
impl fmt::Debug for StandardClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardClaims")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .field("issued_at", &self.issued_at)
            .field("client_id", &self.client_id)
            .field("sid", &self.sid)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The time by which tokens are judged. The leeway makes each comparison more lenient.
struct Present {
    earliest: i64,
    latest: i64,
}

impl Present {
    fn at(now: i64, policy: &Policy) -> Self {
        Self { earliest: now.saturating_sub(policy.leeway), latest: now.saturating_add(policy.leeway) }
    }

    /// RFC 7519 §4.1.6.
    fn check_issued(&self, issued_at: i64) -> Result<(), Error> {
        if issued_at > self.latest { Err(Error::IssuedInFuture) } else { Ok(()) }
    }

    /// RFC 7519 §4.1.5.
    fn check_begun(&self, not_before: Option<i64>) -> Result<(), Error> {
        if not_before.is_some_and(|at| at > self.latest) { Err(Error::NotYetValid) } else { Ok(()) }
    }

    /// RFC 7519 §4.1.4: `exp` is exclusive.
    fn check_lasts(&self, expires_at: i64) -> Result<(), Error> {
        if expires_at <= self.earliest { Err(Error::Expired) } else { Ok(()) }
    }
}

/// `iat`, `nbf` and `exp`, each read and checked before the next.
fn times(claims: &RawClaims<'_>, policy: &Policy, now: i64) -> Result<(i64, Option<i64>, i64), Error> {
    let present = Present::at(now, policy);
    let issued_at = numeric_date(claims.iat.as_ref(), "iat")?.ok_or(Error::ClaimMissing("iat"))?;
    present.check_issued(issued_at)?;
    let not_before = numeric_date(claims.nbf.as_ref(), "nbf")?;
    present.check_begun(not_before)?;
    let expires_at = numeric_date(claims.exp.as_ref(), "exp")?.ok_or(Error::ClaimMissing("exp"))?;
    present.check_lasts(expires_at)?;
    Ok((issued_at, not_before, expires_at))
}

/// RFC 7519 §2.
fn numeric_date(claim: Option<&Json<'_>>, name: &'static str) -> Result<Option<i64>, Error> {
    match claim {
        None => Ok(None),
        Some(Json::Number(Some(seconds))) => Ok(Some(*seconds)),
        Some(_) => Err(Error::ClaimInvalid(name)),
    }
}

fn required(claim: Option<Json<'_>>, name: &'static str) -> Result<String, Error> {
    string(claim.ok_or(Error::ClaimMissing(name))?, name)
}

fn string(claim: Json<'_>, name: &'static str) -> Result<String, Error> {
    match claim {
        Json::Text(text) if !text.is_empty() => Ok(text.into_owned()),
        _ => Err(Error::ClaimInvalid(name)),
    }
}

/// RFC 7519 §4.1.3: one string or a list of them.
fn audience(claim: Option<Json<'_>>) -> Result<Vec<String>, Error> {
    match claim.ok_or(Error::ClaimMissing("aud"))? {
        Json::Texts(list) if list.is_empty() => Err(Error::ClaimInvalid("aud")),
        Json::Texts(list) => strings(list, "aud"),
        one => Ok(vec![string(one, "aud")?]),
    }
}

/// RFC 8693 §4.2 has it separated by spaces; other issuers write a list.
fn scope(claim: Option<Json<'_>>) -> Result<Vec<String>, Error> {
    match claim {
        None => Ok(Vec::new()),
        Some(Json::Text(text)) => {
            Ok(text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
        }
        Some(Json::Texts(list)) => strings(list, "scope"),
        Some(_) => Err(Error::ClaimInvalid("scope")),
    }
}

fn strings(list: Vec<Cow<'_, str>>, name: &'static str) -> Result<Vec<String>, Error> {
    list.into_iter().map(|item| string(Json::Text(item), name)).collect()
}
