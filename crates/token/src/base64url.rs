//! Base64url as RFC 7515 §2 wants it: no padding, no line breaks, no stray bits in the last character.

#[cfg(not(feature = "aws-lc"))]
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
#[cfg(feature = "aws-lc")]
use base64_simd::{AsOut, URL_SAFE_NO_PAD};

/// Encodes bytes as unpadded base64url.
#[cfg(feature = "aws-lc")]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Encodes bytes as unpadded base64url.
#[cfg(not(feature = "aws-lc"))]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes unpadded base64url; `None` for anything that [`encode`] would not have written.
#[cfg(feature = "aws-lc")]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

/// Decodes unpadded base64url; `None` for anything that [`encode`] would not have written.
#[cfg(not(feature = "aws-lc"))]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes to the beginning of `room`; `None` also if that is too small.
#[cfg(feature = "aws-lc")]
pub(crate) fn decode_into<'room>(text: &str, room: &'room mut [u8]) -> Option<&'room [u8]> {
    let length = URL_SAFE_NO_PAD.decoded_length(text.as_bytes()).ok()?;
    let decoded = URL_SAFE_NO_PAD.decode(text.as_bytes(), room.get_mut(..length)?.as_out()).ok()?;
    Some(decoded)
}

/// Decodes to the beginning of `room`; `None` also if that is too small.
#[cfg(not(feature = "aws-lc"))]
pub(crate) fn decode_into<'room>(text: &str, room: &'room mut [u8]) -> Option<&'room [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(text, room).ok()?;
    Some(&room[..length])
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::{decode, decode_into, encode};

    #[test]
    fn only_the_canonical_spelling_decodes() {
        assert_eq!(encode([0xfb, 0xff]), "-_8");
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
        for spelling in ["-_8=", "-_9", "+/8", "-_8\n", " -_8", "-_", "-", "-_?8"] {
            let decoded = decode(spelling);
            assert!(decoded.is_none() || decoded == Some(vec![0xfb]), "{spelling:?} gave {decoded:?}");
        }
        assert_eq!(decode("-_9"), None, "trailing bits");
        assert_eq!(decode("-_8="), None, "padding");
    }

    #[test]
    fn what_does_not_fit_is_not_decoded() {
        let text = encode([7; 100]);
        for (size, fits) in [(0, false), (99, false), (100, true), (101, true)] {
            let mut room = vec![0; size];
            assert_eq!(decode_into(&text, &mut room), fits.then_some(&[7; 100][..]), "{size}");
        }
    }

    /// Those that decode many characters at once treat those at the end otherwise.
    #[test]
    fn every_byte_at_every_place_is_read_as_by_another_library() {
        for length in 0..100 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'A'; length];
                    text[place] = byte;
                    assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(decode(encode(&bytes)), Some(bytes));
        }

        #[test]
        fn text_is_read_as_by_another_library(text in "[A-Za-z0-9_=+/\u{e9}-]{0,140}") {
            let decoded = URL_SAFE_NO_PAD.decode(&text).ok();
            let mut room = [0; 300];
            prop_assert_eq!(decode_into(&text, &mut room), decoded.as_deref());
            prop_assert_eq!(decode(&text), decoded);
        }
    }
}
