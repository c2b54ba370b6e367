use std::borrow::Cow;
use std::fmt;

use attesto_token::strict_json::{self, MemberNames, Text, UniqueMembers};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

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
        let claims = RawClaims::parse(payload)?;
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

/// The claims that are looked at, whatever they are.
#[derive(Default)]
struct RawClaims<'a> {
    iss: Option<Json<'a>>,
    sub: Option<Json<'a>>,
    aud: Option<Json<'a>>,
    exp: Option<Json<'a>>,
    nbf: Option<Json<'a>>,
    iat: Option<Json<'a>>,
    jti: Option<Json<'a>>,
    client_id: Option<Json<'a>>,
    sid: Option<Json<'a>>,
    scope: Option<Json<'a>>,
}

/// A claim's value, as far as any of these claims can be it.
enum Json<'a> {
    Text(Cow<'a, str>),
    Texts(Vec<Cow<'a, str>>),
    /// A number of seconds, rounded down; none if it is no instant.
    Number(Option<i64>),
    Other,
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

/// A `NumericDate` (RFC 7519 §2) may have a fraction; it is rounded down.
#[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest integer")]
fn whole_seconds(seconds: f64) -> Option<i64> {
    within_time(seconds.floor() as i64)
}

fn within_time(seconds: i64) -> Option<i64> {
    (0..=LAST_INSTANT).contains(&seconds).then_some(seconds)
}

impl<'a> RawClaims<'a> {
    /// One pass: repeated members, at any depth, are noticed on the way.
    fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        let claims = json.deserialize_map(AsClaims).map_err(|_| Error::Malformed)?;
        json.end().map_err(|_| Error::Malformed)?;
        Ok(claims)
    }

    fn claim(&mut self, name: &str) -> Option<&mut Option<Json<'a>>> {
        match name {
            "iss" => Some(&mut self.iss),
            "sub" => Some(&mut self.sub),
            "aud" => Some(&mut self.aud),
            "exp" => Some(&mut self.exp),
            "nbf" => Some(&mut self.nbf),
            "iat" => Some(&mut self.iat),
            "jti" => Some(&mut self.jti),
            "client_id" => Some(&mut self.client_id),
            "sid" => Some(&mut self.sid),
            "scope" => Some(&mut self.scope),
            _ => None,
        }
    }
}

struct AsClaims;

impl<'de> Visitor<'de> for AsClaims {
    type Value = RawClaims<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawClaims<'de>, A::Error> {
        let mut claims = RawClaims::default();
        let mut names = MemberNames::default();
        while let Some(Text(name)) = members.next_key()? {
            match claims.claim(&name) {
                Some(claim) => *claim = Some(members.next_value()?),
                None => members.next_value_seed(UniqueMembers)?,
            }
            names.add(name)?;
        }
        Ok(claims)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsJson)
    }
}

struct AsJson;

impl<'de> Visitor<'de> for AsJson {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(within_time(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(i64::try_from(number).ok().and_then(within_time)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(whole_seconds(number)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(item) = items.next_element()? {
            match (item, &mut texts) {
                (Json::Text(text), Some(texts)) => texts.push(text),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Json::Other, Json::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut names = MemberNames::default();
        while let Some(Text(name)) = members.next_key()? {
            if strict_json::is_number(&name) {
                let Text(digits) = members.next_value()?;
                return Ok(Json::Number(seconds_of(&digits)));
            }
            names.add(name)?;
            members.next_value_seed(UniqueMembers)?;
        }
        Ok(Json::Other)
    }
}

/// Where numbers come as their digits.
fn seconds_of(digits: &str) -> Option<i64> {
    match digits.parse() {
        Ok(seconds) => within_time(seconds),
        Err(_) => digits.parse().ok().filter(|seconds: &f64| seconds.is_finite()).and_then(whole_seconds),
    }
}
