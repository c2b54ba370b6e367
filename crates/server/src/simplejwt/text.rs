//! What Django REST Framework's `CharField` makes of an input.

use attesto_core::is_trimmed;

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// JSON `null`.
    Null,
    /// Neither text nor a number: true, an array, a file.
    NotText,
    /// Text, or a number as it was spelled. From JSON it may hold lone surrogates, encoded as if they were characters.
    Text(Vec<u8>),
}

/// The text of a field, trimmed at both ends, or the messages that the field is refused with.
pub fn char_field(given: Option<&Given>) -> Result<String, Vec<String>> {
    let one = |message: &str| Err(vec![message.to_owned()]);
    let bytes = match given {
        None => return one("This field is required."),
        Some(Given::Null) => return one("This field may not be null."),
        Some(Given::NotText) => return one("Not a valid string."),
        Some(Given::Text(bytes)) => bytes,
    };
    let lossy = String::from_utf8_lossy(bytes);
    let text = lossy.trim_matches(is_trimmed);
    if text.is_empty() {
        return one("This field may not be blank.");
    }
    let mut messages = Vec::new();
    if text.contains('\0') {
        messages.push("Null characters are not allowed.".to_owned());
    }
    if let Some(surrogate) = first_surrogate(bytes) {
        messages.push(format!("Surrogate characters are not allowed: U+{surrogate:X}."));
    }
    if messages.is_empty() { Ok(text.to_owned()) } else { Err(messages) }
}

/// UTF-8 has no surrogates; `serde_json` writes a lone one in the three bytes that it would have.
fn first_surrogate(bytes: &[u8]) -> Option<u32> {
    bytes.windows(3).find_map(|window| match *window {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf] => {
            Some(0xd000 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_framework() {
        let text = |text: &str| Some(Given::Text(text.into()));
        let table = [
            (None, Err("This field is required.")),
            (Some(Given::Null), Err("This field may not be null.")),
            (Some(Given::NotText), Err("Not a valid string.")),
            (text(""), Err("This field may not be blank.")),
            (text(" \t\u{a0}\u{1c}\u{3000}"), Err("This field may not be blank.")),
            (text("a\0b"), Err("Null characters are not allowed.")),
            (
                Some(Given::Text(vec![b'a', 0xed, 0xa0, 0x80])),
                Err("Surrogate characters are not allowed: U+D800."),
            ),
            (Some(Given::Text(vec![0xed, 0xbf, 0xbf])), Err("Surrogate characters are not allowed: U+DFFF.")),
            (text("  ada\u{2003}"), Ok("ada")),
            (text("12.50"), Ok("12.50")),
        ];
        for (given, expected) in table {
            let expected = expected.map(str::to_owned).map_err(|message| vec![message.to_owned()]);
            assert_eq!(char_field(given.as_ref()), expected, "{given:?}");
        }
    }
}
