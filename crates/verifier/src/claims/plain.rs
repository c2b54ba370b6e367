//! Claims as issuers write them: one object without white space, escapes, nesting, signs or fractions.
//!
//! They are read several times faster than JSON at large. Whatever is not as plain is left to the parser that knows all
//! of JSON; what is read here means the same there.

use std::borrow::Cow;

use super::raw::{Json, RawClaims, within_time};

/// More members that are none of our claims are not plain.
const MOST_OTHERS: usize = 16;

/// No longer number is plain: it would have to be checked for its size.
const MOST_DIGITS: usize = 15;

/// `None` where the payload is not plain, or no JSON at all.
pub(super) fn claims(payload: &str) -> Option<RawClaims<'_>> {
    if has_escapes(payload) {
        return None;
    }
    let mut claims = RawClaims::default();
    let mut others = Names::default();
    let mut rest = Rest(payload);
    rest.skip("{")?;
    loop {
        let name = rest.text()?;
        rest.skip(":")?;
        let value = rest.value()?;
        match claims.claim(name) {
            Some(claim @ None) => *claim = Some(value),
            Some(_) => return None,
            None => others.add(name)?,
        }
        if rest.skip(",").is_none() {
            break;
        }
    }
    rest.skip("}")?;
    rest.0.is_empty().then_some(claims)
}

/// Whether there is a backslash, or what a string cannot hold without one. It looks at all of them, many at once.
fn has_escapes(payload: &str) -> bool {
    payload.bytes().fold(0, |found, byte| found | u8::from(byte == b'\\') | u8::from(byte < 0x20)) != 0
}

/// Each at most once.
#[derive(Default)]
struct Names<'a> {
    names: [&'a str; MOST_OTHERS],
    count: usize,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str) -> Option<()> {
        // `serde_json` has names of its own.
        if name.starts_with('$') || self.names[..self.count].contains(&name) {
            return None;
        }
        *self.names.get_mut(self.count)? = name;
        self.count += 1;
        Some(())
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn value(&mut self) -> Option<Json<'a>> {
        match self.0.as_bytes().first()? {
            b'"' => Some(Json::Text(Cow::Borrowed(self.text()?))),
            b'[' => Some(Json::Texts(self.texts()?)),
            b't' => self.skip("true").map(|()| Json::Other),
            b'f' => self.skip("false").map(|()| Json::Other),
            _ => Some(Json::Number(within_time(self.whole()?))),
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        self.skip("\"")?;
        let end = memchr::memchr(b'"', self.0.as_bytes())?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn texts(&mut self) -> Option<Vec<Cow<'a, str>>> {
        self.skip("[")?;
        let mut texts = Vec::new();
        loop {
            texts.push(Cow::Borrowed(self.text()?));
            if self.skip(",").is_none() {
                break;
            }
        }
        self.skip("]")?;
        Some(texts)
    }

    /// An integer that is not negative. What makes more of it, a fraction or an exponent, is no end of a value.
    fn whole(&mut self) -> Option<i64> {
        let end = self.0.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        if digits.len() > MOST_DIGITS || digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_plain_is_read() {
        let payload =
            r#"{"iss":"a","aud":["b","c"],"exp":0,"iat":1800000000,"nbf":999999999999999,"x":true,"é":7}"#;
        let claims = claims(payload).unwrap();
        assert_eq!(claims, RawClaims::parse_any(payload).unwrap());
        assert_eq!(claims.iat, Some(Json::Number(Some(1_800_000_000))));
        assert_eq!(claims.nbf, Some(Json::Number(None)), "no instant");
    }

    #[test]
    fn what_is_not_is_left_to_the_other() {
        for payload in [
            "",
            "{",
            "{}",
            "[]",
            r#" {"sub":"a"}"#,
            r#"{"sub":"a"} "#,
            r#"{"sub":"a"}}"#,
            r#"{"sub":"a",}"#,
            r#"{"sub": "a"}"#,
            r#"{"sub":"a" }"#,
            r#"{"sub":"a}"#,
            r#"{"sub":"\u0061"}"#,
            r#"{"s\u0075b":"a"}"#,
            "{\"sub\":\"a\tb\"}",
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"x":"a","x":"b"}"#,
            r#"{"sub":{"a":1}}"#,
            r#"{"sub":null}"#,
            r#"{"aud":[]}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"aud":["a",]}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":1.0}"#,
            r#"{"exp":1e3}"#,
            r#"{"exp":01}"#,
            r#"{"exp":}"#,
            r#"{"exp":1234567890123456}"#,
            r#"{"exp":truely}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ] {
            assert_eq!(claims(payload), None, "{payload}");
        }
        let many: Vec<_> = (0..=MOST_OTHERS).map(|number| format!(r#""{number}":{number}"#)).collect();
        assert_eq!(claims(&format!("{{{}}}", many.join(","))), None);
        assert!(claims(&format!("{{{}}}", many[1..].join(","))).is_some());
    }

    /// Pieces of which more often than not something like a payload comes out.
    fn payloads() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"iss\"",
            "\"aud\":",
            "\"exp\":",
            "\"x\":",
            "\"a\"",
            "\"b\\n\"",
            "0",
            "17",
            "1.5",
            "-1",
            "true",
            "null",
            " ",
            "\u{1}",
            "é",
            "{\"",
            "\"}",
            "1}",
            "[\"a\",\"b\"]",
            "\\",
        ]);
        let member = (
            proptest::sample::select(vec!["iss", "sub", "aud", "exp", "iat", "nbf", "scope", "x", "y", "$z"]),
            proptest::sample::select(vec![
                "\"a\"",
                "\"\"",
                "7",
                "1800000000",
                "[\"a\"]",
                "[\"a\",\"b\"]",
                "true",
                "1.5",
                "null",
                "{}",
                "\"\\u0061\"",
            ]),
        );
        let object = proptest::collection::vec(member, 1..8).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        });
        let rubble = proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat());
        prop_oneof![object, rubble]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_means_the_same_to_the_other(payload in payloads()) {
            if let Some(claims) = claims(&payload) {
                prop_assert_eq!(claims, RawClaims::parse_any(&payload).expect("it is JSON"));
            }
        }
    }
}
