mod plain;
mod raw;
mod set;
mod text;

use std::borrow::Cow;
use std::{fmt, slice};

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::policy::Policy;
use raw::{Json, RawClaims};
pub(crate) use set::ClaimsSet;
use text::Text;

/// The claims that this crate knows (RFC 9068 §2.2), checked. Every accepted token has them, but for those that are an
/// `Option` or may be empty.
#[derive(Clone)]
pub struct StandardClaims {
    /// What the others are parts of.
    set: ClaimsSet,
    issuer: Text,
    subject: Text,
    audience: Audience,
    expires_at: i64,
    issued_at: i64,
    not_before: Option<i64>,
    jti: Text,
    client_id: Text,
    sid: Option<Text>,
    scope: Scope,
}

/// RFC 7519 §4.1.3: one string or a list of them.
#[derive(Clone)]
enum Audience {
    One(Text),
    Several(Vec<Text>),
}

/// RFC 8693 §4.2 has it separated by spaces; other issuers write a list.
#[derive(Clone)]
enum Scope {
    Separated(Text),
    Listed(Vec<Text>),
}

impl StandardClaims {
    /// `iss`: the expected issuer.
    pub fn issuer(&self) -> &str {
        self.text(&self.issuer)
    }

    /// `sub`: the user, or the client itself where no user takes part.
    pub fn subject(&self) -> &str {
        self.text(&self.subject)
    }

    /// `aud`: all audiences, among them an expected one.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.as_slice().iter().map(|audience| self.text(audience))
    }

    /// `exp`: the first second at which the token is no longer valid, since 1970.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// `iat`: when it was issued, in seconds since 1970.
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `nbf`: before when it is not valid, in seconds since 1970, if it says so.
    pub fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// `jti`: the token's own identifier.
    pub fn jti(&self) -> &str {
        self.text(&self.jti)
    }

    /// `client_id`: the client that obtained it (RFC 8693 §4.3).
    pub fn client_id(&self) -> &str {
        self.text(&self.client_id)
    }

    /// `sid`: the session that it belongs to, if it belongs to one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_ref().map(|sid| self.text(sid))
    }

    /// `scope`: what it is good for, item by item (RFC 8693 §4.2); nothing if the claim is absent.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        let (separated, listed) = match &self.scope {
            Scope::Separated(text) => (self.text(text), &[][..]),
            Scope::Listed(list) => ("", &list[..]),
        };
        let separated = separated.split(' ').filter(|scope| !scope.is_empty());
        separated.chain(listed.iter().map(|scope| self.text(scope)))
    }

    /// Reads and checks the claims: time first, then who made the token for whom, then the rest.
    pub(crate) fn read(set: ClaimsSet, policy: &Policy, now: i64) -> Result<Self, Error> {
        let claims = RawClaims::parse(&set)?;
        let (issued_at, not_before, expires_at) = times(&claims, policy, now)?;
        let issuer = required(claims.iss, "iss", &set)?;
        if issuer.of(&set) != policy.issuer {
            return Err(Error::IssuerMismatch);
        }
        let audience = audience(claims.aud, &set)?;
        if !policy.audience.accepts(audience.as_slice().iter().map(|audience| audience.of(&set))) {
            return Err(Error::AudienceMismatch);
        }
        let checked = Self {
            issuer,
            audience,
            expires_at,
            issued_at,
            not_before,
            subject: required(claims.sub, "sub", &set)?,
            client_id: required(claims.client_id, "client_id", &set)?,
            jti: required(claims.jti, "jti", &set)?,
            sid: claims.sid.map(|sid| string(sid, "sid", &set)).transpose()?,
            scope: scope(claims.scope, &set)?,
            set,
        };
        checked.require_scopes(&policy.required_scopes)?;
        Ok(checked)
    }

    /// The claims as the caller's own type.
    pub(crate) fn read_as<C: DeserializeOwned>(&self) -> Result<C, Error> {
        self.set.read()
    }

    /// Whether it is good at this time.
    pub(crate) fn check_times(&self, policy: &Policy, now: i64) -> Result<(), Error> {
        let present = Present::at(now, policy);
        present.check_issued(self.issued_at)?;
        present.check_begun(self.not_before)?;
        present.check_lasts(self.expires_at)
    }

    pub(crate) fn require_scopes(&self, required: &[String]) -> Result<(), Error> {
        if required.iter().all(|required| self.scope().any(|scope| scope == required)) {
            return Ok(());
        }
        Err(Error::InsufficientScope { required: required.to_vec() })
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        text.of(&self.set)
    }
}

impl Audience {
    fn as_slice(&self) -> &[Text] {
        match self {
            Self::One(one) => slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Without `jti`: that of a refresh token is a secret.
impl fmt::Debug for StandardClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardClaims")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("audience", &self.audience().collect::<Vec<_>>())
            .field("expires_at", &self.expires_at)
            .field("issued_at", &self.issued_at)
            .field("client_id", &self.client_id())
            .field("sid", &self.sid())
            .field("scope", &self.scope().collect::<Vec<_>>())
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
        Self {
            earliest: now.saturating_sub(policy.leeway),
            latest: now.saturating_add(policy.leeway + policy.issuer_ahead),
        }
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

fn required(claim: Option<Json<'_>>, name: &'static str, set: &ClaimsSet) -> Result<Text, Error> {
    string(claim.ok_or(Error::ClaimMissing(name))?, name, set)
}

fn string(claim: Json<'_>, name: &'static str, set: &ClaimsSet) -> Result<Text, Error> {
    match claim {
        Json::Text(text) if !text.is_empty() => Ok(Text::new(text, set)),
        _ => Err(Error::ClaimInvalid(name)),
    }
}

fn audience(claim: Option<Json<'_>>, set: &ClaimsSet) -> Result<Audience, Error> {
    match claim.ok_or(Error::ClaimMissing("aud"))? {
        Json::Texts(list) if list.is_empty() => Err(Error::ClaimInvalid("aud")),
        Json::Texts(list) => Ok(Audience::Several(strings(list, "aud", set)?)),
        one => Ok(Audience::One(string(one, "aud", set)?)),
    }
}

fn scope(claim: Option<Json<'_>>, set: &ClaimsSet) -> Result<Scope, Error> {
    match claim {
        None => Ok(Scope::Listed(Vec::new())),
        Some(Json::Text(text)) => Ok(Scope::Separated(Text::new(text, set))),
        Some(Json::Texts(list)) => Ok(Scope::Listed(strings(list, "scope", set)?)),
        Some(_) => Err(Error::ClaimInvalid("scope")),
    }
}

fn strings(list: Vec<Cow<'_, str>>, name: &'static str, set: &ClaimsSet) -> Result<Vec<Text>, Error> {
    list.into_iter().map(|item| string(Json::Text(item), name, set)).collect()
}
