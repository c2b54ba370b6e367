use serde::Deserialize;

use crate::error::JwsError;
use crate::{base64url, strict_json};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A signature of RSA with 4096 bits.
const USUAL_SIGNATURE_BYTES: usize = 512;

/// A compact JWS taken apart (RFC 7515 §7.1), each part still encoded and nothing of it verified.
#[derive(Clone, Copy)]
pub struct CompactJws<'a> {
    /// `BASE64URL(header) . BASE64URL(payload)`: what the signature covers.
    pub signing_input: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> CompactJws<'a> {
    /// Splits a token at exactly two dots. The JSON serializations and JWE (four dots) are no compact JWS.
    ///
    /// # Errors
    ///
    /// [`JwsError::TooLarge`] beyond [`MAX_TOKEN_BYTES`], else [`JwsError::Malformed`].
    pub fn split(token: &'a str) -> Result<Self, JwsError> {
        Self::split_within(token, MAX_TOKEN_BYTES)
    }

    /// Splits something that may be longer than a token, up to `max_bytes`.
    ///
    /// # Errors
    ///
    /// [`JwsError::TooLarge`] beyond that, else [`JwsError::Malformed`].
    pub fn split_within(token: &'a str, max_bytes: usize) -> Result<Self, JwsError> {
        if token.len() > max_bytes {
            return Err(JwsError::TooLarge);
        }
        let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(JwsError::Malformed);
        };
        let (header, payload, signature) = (&token[..first], &token[first + 1..second], &token[second + 1..]);
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(JwsError::Malformed);
        }
        Ok(Self { signing_input: &token[..second], header, payload, signature })
    }

    /// The header as it stands in the token.
    pub fn encoded_header(&self) -> &'a str {
        self.header
    }

    /// Reads the header. What it names is a claim of whoever made the token, until the signature is verified.
    ///
    /// # Errors
    ///
    /// [`JwsError::Malformed`] if it is no JSON object with unique members, among them an `alg`;
    /// [`JwsError::CritUnsupported`] if there is a `crit` or `b64` in it.
    pub fn header(&self) -> Result<JoseHeader, JwsError> {
        let json = base64url::decode(self.header).ok_or(JwsError::Malformed)?;
        let raw: RawHeader = strict_json::parse(&json).map_err(|_| JwsError::Malformed)?;
        if raw.crit.is_some() || raw.b64.is_some() {
            return Err(JwsError::CritUnsupported);
        }
        Ok(JoseHeader { alg: raw.alg, typ: raw.typ, kid: raw.kid })
    }

    /// The decoded signature.
    ///
    /// # Errors
    ///
    /// [`JwsError::Malformed`] if it is not canonical base64url.
    pub fn signature(&self) -> Result<Vec<u8>, JwsError> {
        base64url::decode(self.signature).ok_or(JwsError::Malformed)
    }

    /// What `verifies` says of the decoded signature. Unlike [`Self::signature`] this allocates nothing, unless the
    /// signature is longer than one of RSA with 4096 bits.
    ///
    /// # Errors
    ///
    /// [`JwsError::Malformed`] if it is not canonical base64url.
    pub fn signature_verifies(&self, verifies: impl FnOnce(&[u8]) -> bool) -> Result<bool, JwsError> {
        match base64url::decode_into(self.signature, &mut [0; USUAL_SIGNATURE_BYTES]) {
            Some(signature) => Ok(verifies(signature)),
            None => Ok(verifies(&self.signature()?)),
        }
    }

    /// The decoded payload. Verify the signature first.
    ///
    /// # Errors
    ///
    /// [`JwsError::Malformed`] if it is not canonical base64url.
    pub fn payload(&self) -> Result<Vec<u8>, JwsError> {
        base64url::decode(self.payload).ok_or(JwsError::Malformed)
    }
}

/// The members of a JOSE header that Attesto looks at (RFC 7515 §4.1). `jku`, `jwk`, `x5u` and `x5c` are not among
/// them: a token never says which key it is to be verified with, other than by `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    /// The algorithm's name, as the token spells it.
    pub alg: String,
    /// The media type of the token (RFC 8725 §3.11).
    pub typ: Option<String>,
    /// The key's identifier.
    pub kid: Option<String>,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, deserialize_with = "string_if_present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "string_if_present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "anything_if_present")]
    crit: Option<()>,
    #[serde(default, deserialize_with = "anything_if_present")]
    b64: Option<()>,
}

/// `null` is a wrong type, not an absent member.
fn string_if_present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    String::deserialize(d).map(Some)
}

fn anything_if_present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<()>, D::Error> {
    serde::de::IgnoredAny::deserialize(d).map(|_| Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.c2ln", base64url::encode(header))
    }

    #[test]
    fn three_parts_and_nothing_else() {
        for text in ["", ".", "..", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.d.e"] {
            assert_eq!(CompactJws::split(text).err(), Some(JwsError::Malformed), "{text:?}");
        }
        let long = "a".repeat(MAX_TOKEN_BYTES - 3) + ".b.c";
        assert_eq!(CompactJws::split(&long).err(), Some(JwsError::TooLarge));
        assert!(CompactJws::split(&long[1..]).is_ok());
    }

    #[test]
    fn signatures_of_any_length_are_verified() {
        for length in [1, USUAL_SIGNATURE_BYTES, USUAL_SIGNATURE_BYTES + 1] {
            let signature = vec![7; length];
            let token = format!("e30.e30.{}", base64url::encode(&signature));
            let jws = CompactJws::split(&token).unwrap();
            assert_eq!(jws.signature_verifies(|found| found == signature), Ok(true), "{length}");
            assert_eq!(jws.signature_verifies(|found| found != signature), Ok(false), "{length}");
        }
        let jws = CompactJws::split("e30.e30.A").unwrap();
        assert_eq!(jws.signature_verifies(|_| true), Err(JwsError::Malformed));
    }

    #[test]
    fn headers_are_read_strictly() {
        let read = |json: &str| CompactJws::split(&token(json)).unwrap().header();
        assert_eq!(
            read(r#"{"alg":"RS256","typ":"at+jwt","kid":"k","jku":"https://evil.example"}"#),
            Ok(JoseHeader { alg: "RS256".into(), typ: Some("at+jwt".into()), kid: Some("k".into()) })
        );
        for json in [
            r#"{"alg":"RS256","alg":"RS256"}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"kid":"k"}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","typ":7}"#,
            r#"["alg"]"#,
            r#"{"alg":"RS256"} "#.trim_end().strip_suffix('}').unwrap(),
        ] {
            assert_eq!(read(json), Err(JwsError::Malformed), "{json}");
        }
        for json in [
            r#"{"alg":"RS256","crit":["exp"]}"#,
            r#"{"alg":"RS256","b64":false}"#,
            r#"{"alg":"a","crit":null}"#,
        ] {
            assert_eq!(read(json), Err(JwsError::CritUnsupported), "{json}");
        }
    }
}
