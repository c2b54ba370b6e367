//! Objects as issuers write their claims: without white space, escapes, nesting, signs or fractions.
//!
//! They are taken apart several times faster than JSON at large. Whatever is not as plain is left to the parser that knows
//! all of JSON; what is taken apart here means the same there.

/// More members than this are not plain: they stand in a value of a fixed size, and each name is compared with those
/// before it.
const MOST_MEMBERS: usize = 24;

/// No longer number is plain: it would have to be checked for its size.
const MOST_DIGITS: usize = 15;

/// The members of an object in their order.
#[derive(Clone, Copy)]
pub(super) struct Members {
    places: [Member; MOST_MEMBERS],
    count: usize,
}

/// Where a member of an object stands in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    name: Span,
    value: Span,
}

/// In bytes: where it begins, and where it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(u16, u16);

impl Members {
    fn new() -> Self {
        Self { places: [Member::default(); MOST_MEMBERS], count: 0 }
    }

    pub(super) fn as_slice(&self) -> &[Member] {
        &self.places[..self.count]
    }

    /// `None` if there is no place left.
    fn push(&mut self, member: Member) -> Option<()> {
        *self.places.get_mut(self.count)? = member;
        self.count += 1;
        Some(())
    }
}

impl Member {
    pub(super) fn name(self, object: &str) -> &str {
        self.name.of(object)
    }

    /// As it is written.
    pub(super) fn value(self, object: &str) -> &str {
        self.value.of(object)
    }
}

impl Span {
    /// Where a part of a text begins and is over; `None` if it was copied out of it, or stands too far behind.
    pub(super) fn of_part(part: &str, text: &str) -> Option<Self> {
        let from = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let to = from + part.len();
        if to > text.len() {
            return None;
        }
        Some(Self(u16::try_from(from).ok()?, u16::try_from(to).ok()?))
    }

    pub(super) fn of(self, text: &str) -> &str {
        &text[usize::from(self.0)..usize::from(self.1)]
    }

    /// The quote behind it, if it is empty.
    fn first(self, text: &[u8]) -> u8 {
        text[usize::from(self.0)]
    }

    /// Most names differ in their first letter.
    fn is_same(self, other: Self, text: &[u8]) -> bool {
        let bytes = |span: Self| &text[usize::from(span.0)..usize::from(span.1)];
        self.first(text) == other.first(text) && bytes(self) == bytes(other)
    }
}

/// The members of an object, each name once; `None` where the text is not plain, or no JSON at all.
pub(super) fn members(object: &str) -> Option<Members> {
    // No token has a longer one.
    u16::try_from(object.len()).ok().filter(|_| !has_escapes(object))?;
    let mut members = Members::new();
    let mut rest = Rest { text: object, at: 0 };
    rest.skip(b'{')?;
    loop {
        let name = rest.text()?;
        rest.skip(b':')?;
        let value = rest.value()?;
        let is_known = |member: &Member| member.name.is_same(name, object.as_bytes());
        // `serde_json` has names of its own, which begin like this.
        if name.first(object.as_bytes()) == b'$' || members.as_slice().iter().any(is_known) {
            return None;
        }
        members.push(Member { name, value })?;
        if rest.skip(b',').is_none() {
            break;
        }
    }
    rest.skip(b'}')?;
    (rest.at == object.len()).then_some(members)
}

/// What a plain value is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// What stands between the quotes.
    Text(&'a str),
    Whole(i64),
    Other,
}

pub(super) fn kind_of(value: &str) -> Kind<'_> {
    match value.as_bytes() {
        [b'"', .., b'"'] => Kind::Text(&value[1..value.len() - 1]),
        [b'0'..=b'9', ..] => value.parse().map_or(Kind::Other, Kind::Whole),
        _ => Kind::Other,
    }
}

/// Whether there is a backslash, or what a string cannot hold without one. It looks at all of them, many at once.
fn has_escapes(object: &str) -> bool {
    object.bytes().fold(0, |found, byte| found | u8::from(byte == b'\\') | u8::from(byte < 0x20)) != 0
}

/// What has not been read yet.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl Rest<'_> {
    fn bytes(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn skip(&mut self, expected: u8) -> Option<()> {
        (*self.bytes().first()? == expected).then(|| self.at += 1)
    }

    fn value(&mut self) -> Option<Span> {
        let from = self.at;
        match self.bytes().first()? {
            b'"' => self.text().map(drop),
            b'[' => self.texts(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            _ => self.whole(),
        }?;
        self.since(from)
    }

    /// What stands between the quotes.
    fn text(&mut self) -> Option<Span> {
        self.skip(b'"')?;
        let from = self.at;
        self.at += memchr::memchr(b'"', self.bytes())?;
        let text = self.since(from);
        self.at += 1;
        text
    }

    fn texts(&mut self) -> Option<()> {
        self.skip(b'[')?;
        loop {
            self.text()?;
            if self.skip(b',').is_none() {
                break;
            }
        }
        self.skip(b']')
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes().starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// An integer that is not negative. What makes more of it, a fraction or an exponent, is no end of a value.
    fn whole(&mut self) -> Option<()> {
        let digits = self.bytes().iter().position(|byte| !byte.is_ascii_digit())?;
        let has_leading_zero = digits > 1 && self.bytes().starts_with(b"0");
        (1..=MOST_DIGITS).contains(&digits).then(|| self.at += digits).filter(|()| !has_leading_zero)
    }

    fn since(&self, from: usize) -> Option<Span> {
        Some(Span(u16::try_from(from).ok()?, u16::try_from(self.at).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_taken_apart() {
        let object = r#"{"iss":"a","aud":["b","c"],"exp":0,"iat":1800000000,"x":true,"é":"ü"}"#;
        let expected = [
            ("iss", r#""a""#),
            ("aud", r#"["b","c"]"#),
            ("exp", "0"),
            ("iat", "1800000000"),
            ("x", "true"),
            ("é", r#""ü""#),
        ];
        let members = members(object).unwrap();
        let members: Vec<_> =
            members.as_slice().iter().map(|it| (it.name(object), it.value(object))).collect();
        assert_eq!(members, expected);
        let kinds = [
            Kind::Text("a"),
            Kind::Other,
            Kind::Whole(0),
            Kind::Whole(1_800_000_000),
            Kind::Other,
            Kind::Text("ü"),
        ];
        assert_eq!(expected.map(|(_, value)| kind_of(value)), kinds);
    }

    #[test]
    fn a_part_knows_where_it_stands() {
        let text = "of a text".to_owned();
        for (from, to) in [(0, 9), (3, 4), (5, 9), (2, 2)] {
            let span = Span::of_part(&text[from..to], &text).unwrap();
            assert_eq!((span.0, span.1), (from.try_into().unwrap(), to.try_into().unwrap()));
            assert_eq!(span.of(&text), &text[from..to]);
        }
        for other in [text.clone(), "a".to_owned()] {
            assert_eq!(Span::of_part(&other, &text), None);
        }
        assert_eq!(Span::of_part(&text, &text[..8]), None);
        let long = "a".repeat(70_000);
        assert_eq!(Span::of_part(&long[66_000..], &long), None);
    }

    #[test]
    fn what_is_not_is_left_to_the_other() {
        for object in [
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
            r#"{"exp":1"#,
            r#"{"exp":1234567890123456}"#,
            r#"{"exp":truely}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ] {
            assert!(members(object).is_none(), "{object}");
        }
        assert!(members(&format!(r#"{{"x":"{}"}}"#, "a".repeat(70_000))).is_none());
        let many: Vec<_> = (0..=MOST_MEMBERS).map(|number| format!(r#""{number}":{number}"#)).collect();
        assert!(members(&format!("{{{}}}", many.join(","))).is_none());
        assert!(members(&format!("{{{}}}", many[1..].join(","))).is_some());
    }
}
