//! Tokens taken apart, by somebody who has no key.

use attesto_token::{base64url_decode, base64url_encode};
use serde_json::Value;

/// The claims, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    let [_, payload, _] = parts(token);
    serde_json::from_slice(&decoded(payload)).expect("claims are JSON")
}

/// The same token with one claim changed, and its old signature.
pub(crate) fn with_claim(token: &str, name: &str, value: &str) -> String {
    let [header, _, signature] = parts(token);
    let mut claims = claims(token);
    claims[name] = value.into();
    format!("{header}.{}.{signature}", base64url_encode(claims.to_string().as_bytes()))
}

/// The same token with one bit of its signature changed.
pub(crate) fn with_other_signature(token: &str) -> String {
    let [header, payload, signature] = parts(token);
    let mut signature = decoded(signature);
    signature[100] ^= 1;
    format!("{header}.{payload}.{}", base64url_encode(&signature))
}

/// Header, payload and signature.
pub(crate) fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().expect("three parts")
}

/// The bytes of a part.
pub(crate) fn decoded(part: &str) -> Vec<u8> {
    base64url_decode(part).expect("base64url")
}
