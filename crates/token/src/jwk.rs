use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::JwkError;

/// More keys than any issuer publishes.
const MAX_KEYS: usize = 64;

/// A public key for signatures, as a JWK with `kid`, `alg` and `use` (RFC 7517 §4). It cannot hold private members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    /// Attesto's own keys carry their thumbprint here (RFC 7638).
    pub kid: String,
    /// The one algorithm that this key verifies.
    pub algorithm: Algorithm,
    /// The key itself.
    pub key: PublicKey,
}

/// The public numbers of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// `kty` RSA (RFC 7518 §6.3.1).
    Rsa(RsaPublicKey),
}

/// Modulus and exponent, big-endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// The modulus.
    pub n: Vec<u8>,
    /// The exponent.
    pub e: Vec<u8>,
}

/// The keys of an issuer (RFC 7517 §5): those that can be used, and why the others cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    /// The usable keys, each `kid` once.
    pub keys: Vec<Jwk>,
    /// Entries that a parser left out. Always empty in a set that was built rather than parsed.
    pub refused: Vec<RefusedJwk>,
}

/// An entry of a JWK Set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedJwk {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// What is wrong with it.
    pub reason: JwkError,
}

impl JwkSet {
    /// A set of keys to publish.
    pub fn new(keys: Vec<Jwk>) -> Self {
        Self { keys, refused: Vec::new() }
    }

    /// Parses a JWK Set. An entry that cannot be used is listed in `refused` and harms no other; a text that is no
    /// set at all is [`JwkError::NotASet`], and one of more than 64 entries [`JwkError::TooManyKeys`]. The set may turn out empty: the caller decides what that means.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        let parsed: Map<String, Value> = serde_json::from_slice(json).map_err(|_| JwkError::NotASet)?;
        let entries = parsed.get("keys").and_then(Value::as_array).ok_or(JwkError::NotASet)?;
        if entries.len() > MAX_KEYS {
            return Err(JwkError::TooManyKeys);
        }
        let mut set = Self::default();
        for entry in entries {
            let kid = entry.get("kid").and_then(Value::as_str).map(str::to_owned);
            let twins = entries.iter().filter(|other| kid.is_some() && other.get("kid") == entry.get("kid"));
            let read = if twins.count() > 1 { Err(JwkError::DuplicateKid) } else { Jwk::read(entry) };
            match read {
                Ok(jwk) => set.keys.push(jwk),
                Err(reason) => set.refused.push(RefusedJwk { kid, reason }),
            }
        }
        Ok(set)
    }
}

impl Jwk {
    fn read(entry: &Value) -> Result<Self, JwkError> {
        let members = entry.as_object().ok_or(JwkError::Malformed)?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| members.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        let text =
            |name: &str| members.get(name).map(|value| value.as_str().ok_or(JwkError::Malformed)).transpose();
        let kid = text("kid")?.filter(|kid| !kid.is_empty()).ok_or(JwkError::NoKid)?;
        if text("kty")? != Some("RSA") || text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(JwkError::OtherPurpose);
        }
        if !verifies(members) {
            return Err(JwkError::OtherPurpose);
        }
        let algorithm = match text("alg")? {
            None => Algorithm::Rs256,
            Some(name) => name.parse().map_err(|_| JwkError::OtherPurpose)?,
        };
        let number = |name| text(name)?.and_then(base64url::decode).ok_or(JwkError::Malformed);
        let key = PublicKey::Rsa(RsaPublicKey::new(number("n")?, number("e")?)?);
        Ok(Self { kid: kid.to_owned(), algorithm, key })
    }
}

/// RFC 7517 §4.3: `key_ops`, where present, lists what the key may do, each once.
fn verifies(members: &Map<String, Value>) -> bool {
    match members.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.len() == 1 && operations[0] == "verify",
        Some(_) => false,
    }
}

impl RsaPublicKey {
    /// Takes a modulus of 2048 to 8192 bits and the exponent 65537, the only one that anybody should use.
    pub fn new(n: Vec<u8>, e: Vec<u8>) -> Result<Self, JwkError> {
        let first = *n.first().ok_or(JwkError::Malformed)?;
        if first == 0 || e.first() == Some(&0) {
            return Err(JwkError::Malformed);
        }
        let bits = n.len() * 8 - first.leading_zeros() as usize;
        let odd = n.last().is_some_and(|last| last & 1 == 1);
        if !(2048..=8192).contains(&bits) || !odd || e != [1, 0, 1] {
            return Err(JwkError::Weak);
        }
        Ok(Self { n, e })
    }
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut set = serializer.serialize_struct("JwkSet", 1)?;
        set.serialize_field("keys", &self.keys)?;
        set.end()
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PublicKey::Rsa(RsaPublicKey { n, e }) = &self.key;
        let mut jwk = serializer.serialize_struct("Jwk", 6)?;
        jwk.serialize_field("kty", "RSA")?;
        jwk.serialize_field("use", "sig")?;
        jwk.serialize_field("alg", &self.algorithm)?;
        jwk.serialize_field("kid", &self.kid)?;
        jwk.serialize_field("n", &base64url::encode(n))?;
        jwk.serialize_field("e", &base64url::encode(e))?;
        jwk.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modulus(bytes: usize) -> Vec<u8> {
        let mut n = vec![0xc1; bytes];
        n[bytes - 1] |= 1;
        n
    }

    fn entry() -> Value {
        json!({"kty": "RSA", "kid": "a", "n": base64url::encode(modulus(256)), "e": "AQAB"})
    }

    #[test]
    fn a_written_set_is_read_back_and_has_public_members_only() {
        let key = PublicKey::Rsa(RsaPublicKey::new(modulus(256), vec![1, 0, 1]).unwrap());
        let set = JwkSet::new(vec![Jwk { kid: key.thumbprint(), algorithm: Algorithm::Rs256, key }]);
        let json = serde_json::to_vec(&set).unwrap();
        assert_eq!(JwkSet::parse(&json), Ok(set));
        let written: Value = serde_json::from_slice(&json).unwrap();
        let mut names: Vec<_> = written["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    }

    #[test]
    fn an_unusable_entry_harms_no_other() {
        let with = |name: &str, value: Value| {
            let mut changed = entry();
            changed[name] = value;
            changed["kid"] = if name == "kid" { changed["kid"].clone() } else { json!("b") };
            changed
        };
        let small = base64url::encode(modulus(255));
        let table = [
            (with("d", json!("AQAB")), JwkError::Private),
            (json!({"kty": "oct", "kid": "b", "k": "AQAB"}), JwkError::Private),
            (with("kid", json!("")), JwkError::NoKid),
            (with("kid", json!(7)), JwkError::Malformed),
            (with("kty", json!("OKP")), JwkError::OtherPurpose),
            (with("use", json!("enc")), JwkError::OtherPurpose),
            (with("alg", json!("HS256")), JwkError::OtherPurpose),
            (with("key_ops", json!(["sign"])), JwkError::OtherPurpose),
            (with("key_ops", json!("verify")), JwkError::OtherPurpose),
            (with("n", json!(small)), JwkError::Weak),
            (with("e", json!("AQ")), JwkError::Weak),
            (with("e", json!("AAEAAQ")), JwkError::Malformed),
            (with("n", json!("=")), JwkError::Malformed),
            (json!("key"), JwkError::Malformed),
        ];
        for (bad, reason) in table {
            let json = serde_json::to_vec(&json!({"keys": [entry(), bad]})).unwrap();
            let set = JwkSet::parse(&json).unwrap();
            assert_eq!(set.keys.len(), 1, "{bad}");
            assert_eq!(set.refused[0].reason, reason, "{bad}");
        }
    }

    #[test]
    fn twins_are_both_refused() {
        let json = serde_json::to_vec(&json!({"keys": [entry(), entry()]})).unwrap();
        let set = JwkSet::parse(&json).unwrap();
        assert!(set.keys.is_empty());
        assert_eq!(set.refused.len(), 2);
    }

    #[test]
    fn a_set_has_at_most_64_entries() {
        let set = |count| serde_json::to_vec(&json!({"keys": vec![json!({}); count]})).unwrap();
        assert_eq!(JwkSet::parse(&set(64)).unwrap().refused.len(), 64);
        assert_eq!(JwkSet::parse(&set(65)), Err(JwkError::TooManyKeys));
    }

    #[test]
    fn what_is_no_set_is_an_error() {
        for text in ["", "[]", "[[]]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(JwkSet::parse(text.as_bytes()), Err(JwkError::NotASet), "{text}");
        }
    }
}
