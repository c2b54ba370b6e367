use attesto_core::Instant;

/// A list of fields as bytes, for a MAC, for associated data, or for the `info` of a derived key. Two different lists
/// never encode alike: each text stands behind its length, and each instant behind whether there is one.
pub(crate) struct Encoding(Vec<u8>);

impl Encoding {
    /// `label` says what the bytes are for, and in which version of the format.
    pub(crate) fn new(label: &str) -> Self {
        Self(Vec::new()).text(label)
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn instant(mut self, instant: Option<Instant>) -> Self {
        self.0.push(u8::from(instant.is_some()));
        match instant {
            Some(instant) => self.number(instant.as_millis()),
            None => self,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
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
        ];
        for (at, one) in encodings.iter().enumerate() {
            for other in &encodings[at + 1..] {
                assert_ne!(one.as_bytes(), other.as_bytes());
            }
        }
    }
}
