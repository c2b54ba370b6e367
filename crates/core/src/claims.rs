use serde_json::{Map, Value};

/// Names that an operator cannot give to a user: what the authority says itself, and what other standards give a
/// meaning that must not be forged (RFC 7519 §4.1, RFC 9068 §2.2, RFC 8693, RFC 7800, OpenID Connect Core).
const REGISTERED: [&str; 30] = [
    "acr",
    "act",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "events",
    "exp",
    "gen",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "orig_iat",
    "refresh_exp",
    "s_hash",
    "scope",
    "sid",
    "status",
    "sub",
    "token_type",
    "typ",
    "user_id",
    "vc",
];

/// Longest JSON text of a user's claims, in bytes: a token with them stays below the 8 KiB that verifiers read.
const MAX_BYTES: usize = 4096;

/// Deepest nesting of a user's claims.
const MAX_DEPTH: usize = 6;

/// Claims that an operator gave a user: a JSON object that goes into both tokens and overrides no registered claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomClaims(Map<String, Value>);

/// Why an operator's claims are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsRefused {
    /// Not JSON, or not an object.
    #[error("claims must be one JSON object")]
    NotAnObject,
    /// A member is the authority's to say.
    #[error("the claim {0:?} is set by the authority and cannot be given")]
    Registered(String),
    /// The JSON library would not read it back as it was written.
    #[error("no member may begin with \"$serde_json::private::\"")]
    Internal,
    /// Over 4,096 bytes.
    #[error("claims must not be longer than 4,096 bytes of JSON")]
    TooLong,
    /// Over six levels.
    #[error("claims must not be nested deeper than 6 levels")]
    TooDeep,
}

impl CustomClaims {
    /// Takes an object that overrides nothing and fits into a token.
    pub fn new(claims: Map<String, Value>) -> Result<Self, ClaimsRefused> {
        if let Some(name) = claims.keys().find(|name| REGISTERED.contains(&name.as_str())) {
            return Err(ClaimsRefused::Registered(name.clone()));
        }
        let claims = Value::Object(claims);
        if has_internal_name(&claims) {
            return Err(ClaimsRefused::Internal);
        }
        if depth(&claims) > MAX_DEPTH {
            return Err(ClaimsRefused::TooDeep);
        }
        if claims.to_string().len() > MAX_BYTES {
            return Err(ClaimsRefused::TooLong);
        }
        let Value::Object(claims) = claims else { return Err(ClaimsRefused::NotAnObject) };
        Ok(Self(claims))
    }

    /// Reads JSON text.
    pub fn parse(json: &str) -> Result<Self, ClaimsRefused> {
        Self::new(serde_json::from_str(json).map_err(|_| ClaimsRefused::NotAnObject)?)
    }

    /// The claims, to be written into a token.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The JSON text that the store keeps.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

fn has_internal_name(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.starts_with("$serde_json::private::") || has_internal_name(value)),
        Value::Array(items) => items.iter().any(has_internal_name),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_registered_claim_can_be_given() {
        for name in REGISTERED {
            let json = format!(r#"{{"role":"x","{name}":1}}"#);
            assert_eq!(CustomClaims::parse(&json), Err(ClaimsRefused::Registered(name.into())));
        }
        assert!(CustomClaims::parse(r#"{"role":"x","is_staff":true,"groups":["a"]}"#).is_ok());
    }

    #[test]
    fn claims_are_bounded() {
        assert_eq!(CustomClaims::parse("{}"), Ok(CustomClaims::default()));
        for text in ["", " ", "[]", "7", "{", "{\"a\":1} x", "null"] {
            assert_eq!(CustomClaims::parse(text), Err(ClaimsRefused::NotAnObject), "{text}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_BYTES));
        assert_eq!(CustomClaims::parse(&long), Err(ClaimsRefused::TooLong));
        let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_BYTES - 8));
        assert!(CustomClaims::parse(&fits).is_ok());
        assert_eq!(CustomClaims::parse(r#"{"a":[[[[[[1]]]]]]}"#), Err(ClaimsRefused::TooDeep));
        assert!(CustomClaims::parse(r#"{"a":[[[[[1]]]]]}"#).is_ok());
        let internal = r#"{"x":[{"a":1,"$serde_json::private::RawValue":5}]}"#;
        assert_eq!(CustomClaims::parse(internal), Err(ClaimsRefused::Internal));
    }
}
