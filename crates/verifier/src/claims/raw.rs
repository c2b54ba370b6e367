use std::borrow::Cow;
use std::fmt;

use attesto_token::strict_json::{self, MemberNames, Text, UniqueMembers};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::plain::{self, Kind};
use super::set::ClaimsSet;
use crate::error::Error;

/// 9999-12-31T23:59:59Z. An instant beyond it is a mistake or an attack on somebody's arithmetic.
const LAST_INSTANT: i64 = 253_402_300_799;

/// The claims that are looked at, whatever they are.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct RawClaims<'a> {
    pub(super) iss: Option<Json<'a>>,
    pub(super) sub: Option<Json<'a>>,
    pub(super) aud: Option<Json<'a>>,
    pub(super) exp: Option<Json<'a>>,
    pub(super) nbf: Option<Json<'a>>,
    pub(super) iat: Option<Json<'a>>,
    pub(super) jti: Option<Json<'a>>,
    pub(super) client_id: Option<Json<'a>>,
    pub(super) sid: Option<Json<'a>>,
    pub(super) scope: Option<Json<'a>>,
}

/// A claim's value, as far as any of these claims can be it.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Json<'a> {
    Text(Cow<'a, str>),
    Texts(Vec<Cow<'a, str>>),
    /// A number of seconds, rounded down; none if it is no instant.
    Number(Option<i64>),
    Other,
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
    pub(super) fn parse(claims: &'a ClaimsSet) -> Result<Self, Error> {
        match claims.members() {
            Some(members) => Self::of_members(members),
            None => Self::of_json(claims.text()),
        }
        .map_err(|_| Error::Malformed)
    }

    fn of_members(members: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, serde_json::Error> {
        let mut claims = Self::default();
        for (name, value) in members {
            if let Some(claim) = claims.claim(name) {
                *claim = Some(match plain::kind_of(value) {
                    Kind::Text(text) => Json::Text(Cow::Borrowed(text)),
                    Kind::Whole(number) => Json::Number(within_time(number)),
                    Kind::Other => serde_json::from_str(value)?,
                });
            }
        }
        Ok(claims)
    }

    /// One pass: repeated members, at any depth, are noticed on the way.
    fn of_json(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let claims = json.deserialize_map(AsClaims)?;
        json.end()?;
        Ok(claims)
    }

    fn claim(&mut self, name: &str) -> Option<&mut Option<Json<'a>>> {
        match name.as_bytes() {
            b"iss" => Some(&mut self.iss),
            b"sub" => Some(&mut self.sub),
            b"aud" => Some(&mut self.aud),
            b"exp" => Some(&mut self.exp),
            b"nbf" => Some(&mut self.nbf),
            b"iat" => Some(&mut self.iat),
            b"jti" => Some(&mut self.jti),
            b"client_id" => Some(&mut self.client_id),
            b"sid" => Some(&mut self.sid),
            b"scope" => Some(&mut self.scope),
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
                Some(claim @ None) => *claim = Some(members.next_value()?),
                Some(_) => return Err(de::Error::custom("a claim stands twice")),
                None => {
                    members.next_value_seed(UniqueMembers)?;
                    names.add(name)?;
                }
            }
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
