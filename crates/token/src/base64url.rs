//! Base64url as RFC 7515 §2 wants it: no padding, no line breaks, no stray bits in the last character.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes bytes as unpadded base64url.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes unpadded base64url; `None` for anything that [`encode`] would not have written.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

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
}
