//! JSON with unique members at every depth.
//!
//! RFC 8725 §2.3 and RFC 7515 §4 leave it to the parser what a repeated member means; two parsers that disagree are an
//! attack. `serde_json` keeps the last one silently, so a first pass refuses them (and its depth limit of 128 holds).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Parses a UTF-8 JSON object into `T`.
///
/// # Errors
///
/// Repeated members at any depth, trailing text, 128 levels or more, or whatever `T` does not take.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    // Derived structs also read arrays, position by position: JOSE knows objects only.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(serde::de::Error::custom("not a JSON object"));
    }
    let mut scan = serde_json::Deserializer::from_slice(json);
    UniqueMembers.deserialize(&mut scan)?;
    scan.end()?;
    serde_json::from_slice(json)
}

/// With some of its features, which any crate of a program can turn on for all of it, `serde_json` takes an object
/// with such a member for something else than an object.
const SERDE_JSON_INTERNAL: &str = "$serde_json::private::";

/// With `arbitrary_precision` it shows numbers that are no small integers as objects with this member.
const NUMBER: &str = "$serde_json::private::Number";

/// Whether this member's name means that the object is none, but a number in disguise, whose digits are the value.
pub fn is_number(name: &str) -> bool {
    name == NUMBER && *NUMBERS_ARE_OBJECTS
}

static NUMBERS_ARE_OBJECTS: LazyLock<bool> = LazyLock::new(|| {
    struct IsObject;

    impl<'de> Visitor<'de> for IsObject {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
            Ok(false)
        }

        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<bool, A::Error> {
            Ok(true)
        }
    }

    serde_json::Deserializer::from_str("0.5").deserialize_any(IsObject).unwrap_or(false)
});

/// The names of one object's members so far.
#[derive(Default)]
pub struct MemberNames<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

/// More names are looked up in a set.
const FEW: usize = 32;

impl<'de> MemberNames<'de> {
    /// Takes the next name.
    ///
    /// # Errors
    ///
    /// It stood there before, or has no business in a document.
    pub fn add<E: serde::de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        if name.starts_with(SERDE_JSON_INTERNAL) {
            return Err(E::custom("a member has a reserved name"));
        }
        let is_new = if self.few.len() < FEW {
            !self.few.contains(&name)
        } else {
            !self.few.contains(&name) && self.many.insert(name.clone())
        };
        if !is_new {
            return Err(E::custom("a member stands twice"));
        }
        if self.few.len() < FEW {
            self.few.push(name);
        }
        Ok(())
    }
}

/// A member's name, or another string, borrowed from the text where it has no escapes.
pub struct Text<'de>(pub Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;

        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(AsText)
    }
}

/// Any value, read for its members' names alone.
#[derive(Clone, Copy)]
pub struct UniqueMembers;

impl<'de> DeserializeSeed<'de> for UniqueMembers {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique members")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = MemberNames::default();
        while let Some(Text(name)) = members.next_key()? {
            if !is_number(&name) {
                names.add(name)?;
            }
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::Value;

    #[test]
    fn repeated_members_are_refused_at_every_depth() {
        assert!(parse::<Value>(br#"{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}"#).is_ok());
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":{"a":1,"a":2}}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#] {
            assert!(parse::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn no_member_is_named_as_serde_json_names_its_own() {
        for name in [
            "$serde_json::private::RawValue",
            "$serde_json::private::Number",
            r"\u0024serde_json::private::X",
        ] {
            assert!(
                parse::<Value>(format!(r#"{{"aud":{{"{name}":"\"orders\""}}}}"#).as_bytes()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn depth_and_trailing_text_are_refused() {
        let deep = r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000);
        assert!(parse::<Value>(deep.as_bytes()).is_err());
        assert!(parse::<Value>(b"{} {}").is_err());
        assert!(parse::<Value>(b"[1]").is_err());
        assert!(parse::<Value>(b"{\"a\":\"\xff\"}").is_err());
    }
}
