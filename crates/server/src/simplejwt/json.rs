//! JSON bodies as Python's parser and the framework read them: the last of two members wins, unknown ones are
//! ignored, numbers are accepted as text, and a lone surrogate is the field's problem rather than the document's.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::SimpleJwtError;
use super::text::Given;

/// The members of a JSON object.
pub fn members(body: &[u8]) -> Result<HashMap<String, Given>, SimpleJwtError> {
    let malformed = |cause: String| SimpleJwtError::Parse { format: "JSON", cause };
    let text = std::str::from_utf8(body).map_err(|cause| malformed(cause.to_string()))?;
    match serde_json::from_str(text).map_err(|cause| malformed(cause.to_string()))? {
        Document::Object(members) => Ok(members),
        Document::Other(what) => Err(SimpleJwtError::NotAnObject(what)),
    }
}

enum Document {
    Object(HashMap<String, Given>),
    Other(Option<&'static str>),
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
        let mut members = HashMap::new();
        while let Some(name) = access.next_key::<String>()? {
            let value: &RawValue = access.next_value()?;
            members.insert(name, given(value.get()).map_err(serde::de::Error::custom)?);
        }
        Ok(Document::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Document::Other(Some("list")))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Document, E> {
        Ok(Document::Other(Some("bool")))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Document, E> {
        Ok(Document::Other(Some("int")))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Document, E> {
        Ok(Document::Other(Some("int")))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Document, E> {
        Ok(Document::Other(Some("float")))
    }

    fn visit_str<E>(self, _: &str) -> Result<Document, E> {
        Ok(Document::Other(Some("str")))
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Other(None))
    }
}

fn given(json: &str) -> Result<Given, serde_json::Error> {
    Ok(match json.as_bytes().first() {
        Some(b'n') => Given::Null,
        Some(b'"') => Given::Text(serde_json::from_str::<Characters>(json)?.0),
        Some(b'-' | b'0'..=b'9') => Given::Text(json.into()),
        // Parsed for its depth: what is too deep for any parser is refused, even in a member that nobody reads.
        _ => serde_json::from_str::<Value>(json).map(|_| Given::NotText)?,
    })
}

/// A JSON string as bytes, the one form in which lone surrogates survive.
struct Characters(Vec<u8>);

impl<'de> Deserialize<'de> for Characters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Characters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Characters, E> {
                Ok(Characters(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_wins_and_numbers_are_text() {
        let members = members(br#"{"a":1,"a":"x","n":12,"s":"\ud800","o":{},"z":null,"t":true}"#).unwrap();
        assert_eq!(members["a"], Given::Text("x".into()));
        assert_eq!(members["n"], Given::Text("12".into()));
        assert_eq!(members["s"], Given::Text(vec![0xed, 0xa0, 0x80]));
        assert_eq!(
            (&members["o"], &members["z"], &members["t"]),
            (&Given::NotText, &Given::Null, &Given::NotText)
        );
    }

    #[test]
    fn what_is_no_object_is_named_as_python_names_it() {
        let table = [
            ("[1]", "list"),
            ("\"a\"", "str"),
            ("7", "int"),
            ("-7", "int"),
            ("1.5", "float"),
            ("true", "bool"),
        ];
        for (body, expected) in table {
            let got = members(body.as_bytes());
            assert!(
                matches!(got, Err(SimpleJwtError::NotAnObject(Some(what))) if what == expected),
                "{body}"
            );
        }
        assert!(matches!(members(b"null"), Err(SimpleJwtError::NotAnObject(None))));
    }

    #[test]
    fn malformed_documents_are_parse_errors() {
        let deep = format!(r#"{{"unknown":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let bodies: [&[u8]; 7] = [
            b"{",
            b"{'a':1}",
            b"{\"a\":NaN}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"{} {}",
            deep.as_bytes(),
        ];
        for body in bodies {
            assert!(matches!(members(body), Err(SimpleJwtError::Parse { format: "JSON", .. })), "{body:?}");
        }
    }
}
