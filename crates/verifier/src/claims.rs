use std::fmt;

use attesto_token::parse_strict_json;
use serde_json::{Map, Number, Value};

use crate::error::Error;
use crate::policy::Policy;

/// 9999-12-31T23:59:59Z. An instant beyond it is a mistake or an attack on somebody's arithmetic.
const LAST_INSTANT: i64 = 253_402_300_799;

/// The claims that every accepted token has (RFC 9068 §2.2), checked.
#[derive(Clone, PartialEq, Eq)]
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
}

impl StandardClaims {
    /// Reads and checks the claims: time first, then who made the token for whom, then the rest.
    pub(crate) fn read(payload: &[u8], policy: &Policy, now: i64) -> Result<Self, Error> {
        let claims = &parse_strict_json::<Map<String, Value>>(payload).map_err(|_| Error::Malformed)?;
        let (issued_at, not_before, expires_at) = times(claims, policy, now)?;
        let issuer = required_string(claims, "iss")?;
        if issuer != policy.issuer {
            return Err(Error::IssuerMismatch);
        }
        let audience = audience(claims)?;
        if !policy.audience.accepts(&audience) {
            return Err(Error::AudienceMismatch);
        }
        let checked = Self {
            issuer: issuer.to_owned(),
            audience,
            expires_at,
            issued_at,
            not_before,
            subject: required_string(claims, "sub")?.to_owned(),
            client_id: required_string(claims, "client_id")?.to_owned(),
            jti: required_string(claims, "jti")?.to_owned(),
            sid: claims.get("sid").map(|sid| string(sid, "sid")).transpose()?.map(str::to_owned),
            scope: scope(claims)?,
        };
        checked.require_scopes(&policy.required_scopes)?;
        Ok(checked)
    }

    /// Whether it is good at this time. `exp` is exclusive; the leeway makes each comparison more lenient.
    pub(crate) fn check_times(&self, policy: &Policy, now: i64) -> Result<(), Error> {
        let latest = now.saturating_add(policy.leeway);
        if self.issued_at > latest {
            return Err(Error::IssuedInFuture);
        }
        if self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(Error::NotYetValid);
        }
        if self.expires_at <= now.saturating_sub(policy.leeway) {
            return Err(Error::Expired);
        }
        Ok(())
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

/// RFC 7519 §4.1.4 to §4.1.6: `iat`, `nbf` and `exp`, checked.
fn times(claims: &Map<String, Value>, policy: &Policy, now: i64) -> Result<(i64, Option<i64>, i64), Error> {
    let latest = now.saturating_add(policy.leeway);
    let issued_at = numeric_date(claims, "iat")?.ok_or(Error::ClaimMissing("iat"))?;
    if issued_at > latest {
        return Err(Error::IssuedInFuture);
    }
    let not_before = numeric_date(claims, "nbf")?;
    if not_before.is_some_and(|not_before| not_before > latest) {
        return Err(Error::NotYetValid);
    }
    let expires_at = numeric_date(claims, "exp")?.ok_or(Error::ClaimMissing("exp"))?;
    if expires_at <= now.saturating_sub(policy.leeway) {
        return Err(Error::Expired);
    }
    Ok((issued_at, not_before, expires_at))
}

fn numeric_date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Error> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_number().and_then(whole_seconds).ok_or(Error::ClaimInvalid(name))?;
    Ok(Some(seconds))
}

/// A `NumericDate` (RFC 7519 §2) may have a fraction; it is rounded down.
#[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest integer")]
fn whole_seconds(number: &Number) -> Option<i64> {
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None => number.as_f64()?.floor() as i64,
    };
    (0..=LAST_INSTANT).contains(&seconds).then_some(seconds)
}

fn required_string<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Error> {
    let value = claims.get(name).ok_or(Error::ClaimMissing(name))?;
    string(value, name)
}

fn string<'a>(value: &'a Value, name: &'static str) -> Result<&'a str, Error> {
    value.as_str().filter(|text| !text.is_empty()).ok_or(Error::ClaimInvalid(name))
}

/// RFC 7519 §4.1.3: one string or a list of them.
fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, Error> {
    match claims.get("aud").ok_or(Error::ClaimMissing("aud"))? {
        Value::Array(list) if list.is_empty() => Err(Error::ClaimInvalid("aud")),
        Value::Array(list) => strings(list, "aud"),
        one => Ok(vec![string(one, "aud")?.to_owned()]),
    }
}

/// RFC 8693 §4.2 has it separated by spaces; other issuers write a list.
fn scope(claims: &Map<String, Value>) -> Result<Vec<String>, Error> {
    match claims.get("scope") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            Ok(text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
        }
        Some(Value::Array(list)) => strings(list, "scope"),
        Some(_) => Err(Error::ClaimInvalid("scope")),
    }
}

fn strings(list: &[Value], name: &'static str) -> Result<Vec<String>, Error> {
    list.iter().map(|item| string(item, name).map(str::to_owned)).collect()
}
