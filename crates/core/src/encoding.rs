use crate::instant::Instant;

/// A list of fields as bytes, for a hash, for a MAC, for associated data, or for the `info` of a derived key. Two different
/// lists of the same kinds of fields never encode alike: each text stands behind its length, and what may be absent behind
/// whether it is there.
pub struct Encoding(Vec<u8>);

impl Encoding {
    /// `label` says what the bytes are for, and in which version of the format.
    pub fn new(label: &str) -> Self {
        Self(Vec::new()).text(label)
    }

    /// A text, in UTF-8.
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Bytes behind their number, which has eight bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// Eight bytes, the highest first.
    pub fn number(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// An instant that may be absent.
    pub fn instant(mut self, instant: Option<Instant>) -> Self {
        self.0.push(u8::from(instant.is_some()));
        match instant {
            Some(instant) => self.number(instant.as_millis()),
            None => self,
        }
    }

    /// A text that may be absent.
    pub fn optional_text(mut self, text: Option<&str>) -> Self {
        self.0.push(u8::from(text.is_some()));
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_fields_never_encode_alike() {
        let zero = Some(Instant::from_millis(0));
        let encodings = [
            Encoding::new("a").text("bc").text("d"),
            Encoding::new("a").text("b").text("cd"),
            Encoding::new("ab").text("c").text("d"),
            Encoding::new("a").text("bcd").text(""),
            Encoding::new("a").text("").text("bcd"),
            Encoding::new("a").text("bcd"),
            Encoding::new("a").instant(None).instant(zero),
            Encoding::new("a").instant(zero).instant(None),
            Encoding::new("a").instant(zero).instant(zero),
            Encoding::new("a").instant(None).instant(None),
            Encoding::new("a").optional_text(None).optional_text(Some("b")),
            Encoding::new("a").optional_text(Some("b")).optional_text(None),
            Encoding::new("a").optional_text(Some("")).optional_text(Some("b")),
        ];
        for (at, one) in encodings.iter().enumerate() {
            for other in &encodings[at + 1..] {
                assert_ne!(one.as_bytes(), other.as_bytes());
            }
        }
    }
}
