use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::plain::{self, Kind};
use crate::error::Error;

/// A JWT Claims Set (RFC 7519 §4) as its issuer wrote it, to be read more than once.
#[derive(Clone)]
pub(crate) struct ClaimsSet {
    text: String,
    /// If it is plain.
    members: Option<plain::Members>,
}

impl ClaimsSet {
    pub(crate) fn new(text: String) -> Self {
        Self { members: plain::members(&text), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Names, and values as they are written; `None` if it is not plain.
    pub(super) fn members(&self) -> Option<impl Iterator<Item = (&str, &str)>> {
        let members = self.members.as_ref()?;
        Some(members.as_slice().iter().map(|member| (member.name(&self.text), member.value(&self.text))))
    }

    /// The claims as the caller's own type, which sees the issuer's own spelling of each value. `serde_json` has the last
    /// word: a type may ask for more than is known here.
    pub(crate) fn read<C: DeserializeOwned>(&self) -> Result<C, Error> {
        let quickly = self.members().and_then(|members| C::deserialize(Object(members)).ok());
        quickly.map_or_else(|| serde_json::from_str(&self.text), Ok).map_err(|_| Error::ClaimsMismatch)
    }
}

/// The members of a plain object.
struct Object<I>(I);

impl<'de, I: Iterator<Item = (&'de str, &'de str)>> Deserializer<'de> for Object<I> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let mut members = Members { rest: self.0, value: Value("") };
        let value = visitor.visit_map(&mut members)?;
        match members.rest.next() {
            Some(_) => Err(de::Error::custom("it has more members")),
            None => Ok(value),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Members<'de, I> {
    rest: I,
    value: Value<'de>,
}

impl<'de, I: Iterator<Item = (&'de str, &'de str)>> MapAccess<'de> for Members<'de, I> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = Value(value);
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Self::Error> {
        seed.deserialize(self.value)
    }
}

/// A plain value, as it is written.
#[derive(Clone, Copy)]
struct Value<'de>(&'de str);

/// Leaves to `serde_json` what is not done faster here.
macro_rules! by_serde_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            serde_json::Deserializer::from_str(self.0).$method($($argument,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match plain::kind_of(self.0) {
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::Whole(_) | Kind::Other => {
                serde_json::Deserializer::from_str(self.0).deserialize_any(visitor)
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match plain::kind_of(self.0) {
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::Whole(_) | Kind::Other => {
                serde_json::Deserializer::from_str(self.0).deserialize_str(visitor)
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    by_serde_json! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128() deserialize_f32()
        deserialize_f64() deserialize_char() deserialize_bytes() deserialize_byte_buf() deserialize_unit()
        deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(length: usize) deserialize_tuple_struct(name: &'static str, length: usize) deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) deserialize_identifier()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::claims::raw::RawClaims;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Small {
        iss: String,
        x: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Closed {
        #[serde(default)]
        iss: Option<Name>,
        #[serde(default)]
        aud: Vec<String>,
        #[serde(default)]
        exp: f64,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Name(String);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Letter {
        A,
        B,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        sub: Letter,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number { exp: i64 },
        Text { exp: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "iss", rename_all = "lowercase")]
    enum Tagged {
        A { aud: Value },
        B,
    }

    /// That `C` gets the same as from `serde_json`, or as little.
    fn compare<C: DeserializeOwned + Debug + PartialEq>(text: &str) {
        let (ours, theirs) = (ClaimsSet::new(text.to_owned()).read::<C>(), serde_json::from_str::<C>(text));
        assert_eq!(ours.ok(), theirs.ok(), "{text}");
    }

    fn compare_all(text: &str) {
        compare::<Value>(text);
        compare::<Small>(text);
        compare::<Closed>(text);
        compare::<Flat>(text);
        compare::<Either>(text);
        compare::<Tagged>(text);
        compare::<Option<Small>>(text);
        compare::<Name>(text);
        compare::<BTreeMap<Name, Value>>(text);
        compare::<BTreeMap<u8, Value>>(text);
        compare::<BTreeMap<String, String>>(text);
        compare::<BTreeMap<String, Letter>>(text);
        compare::<BTreeMap<String, (String, String)>>(text);
        compare::<BTreeMap<String, char>>(text);
        compare::<Vec<String>>(text);
        compare::<()>(text);
    }

    #[test]
    fn every_type_gets_what_it_would_get_elsewhere() {
        for text in [
            r#"{"iss":"a","x":7}"#,
            r#"{"iss":"a","x":256}"#,
            r#"{"iss":"a","aud":["a","b"],"exp":1800000000}"#,
            r#"{"iss":"a","aud":"b","exp":"1"}"#,
            r#"{"iss":true,"sub":"a"}"#,
            r#"{"sub":"a","é":"ü"}"#,
            r#"{"1":"a","2":"b"}"#,
            r#"{"sub":"c"}"#,
        ] {
            assert!(ClaimsSet::new(text.to_owned()).members.is_some(), "{text}");
            compare_all(text);
        }
    }

    const NAMES: &str = r"iss sub aud exp iat nbf scope x 1 s\u0075b";
    const VALUES: &str = r#""a" "" 7 0 1800000000 999999999999999 ["a"] ["a","b"] true false 1.5 null {} [] "\u0061" "ü" 01 1e3 -1 99999999999999999999"#;
    const PIECES: &str =
        r#"{ } [ ] , : " "iss" "aud": "exp": "x": "a" "b\n" 0 17 1.5 -1 true null é {" "} 1} ["a","b"] \"#;

    /// Pieces of which more often than not something like a claims set comes out.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = PIECES.split(' ').chain([" ", "\u{1}", "\u{7f}"]).collect::<Vec<_>>();
        let [names, values] = [NAMES, VALUES].map(|list| list.split(' ').collect::<Vec<_>>());
        let member = (proptest::sample::select(names), proptest::sample::select(values));
        let object = proptest::collection::vec(member, 0..8).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        });
        let rubble = proptest::collection::vec(proptest::sample::select(pieces), 0..14);
        prop_oneof![object, rubble.prop_map(|pieces| pieces.concat())]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn what_is_plain_means_the_same_to_serde_json(text in texts()) {
            let plain = ClaimsSet::new(text.clone());
            if plain.members.is_some() {
                let other = ClaimsSet { text: text.clone(), members: None };
                prop_assert_eq!(RawClaims::parse(&plain), RawClaims::parse(&other), "{}", &text);
                compare_all(&text);
            }
        }
    }
}
