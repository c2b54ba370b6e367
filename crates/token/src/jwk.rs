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
    /// `kty` EC (RFC 7518 §6.2.1).
    Ec(EcPublicKey),
    /// `kty` OKP (RFC 8037 §2).
    Okp(OkpPublicKey),
}

/// Modulus and exponent, big-endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// The modulus.
    pub n: Vec<u8>,
    /// The exponent.
    pub e: Vec<u8>,
}

/// A point of the curve P-256, if whoever published it tells the truth: a cryptographic library finds out when it takes
/// the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcPublicKey {
    x: [u8; 32],
    y: [u8; 32],
}

/// A point of the curve of Ed25519, of which the same holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OkpPublicKey {
    x: [u8; 32],
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

    /// Parses a JWK Set. An entry that cannot be used is listed in `refused` and harms no other. The set may turn out
    /// empty: the caller decides what that means.
    ///
    /// # Errors
    ///
    /// [`JwkError::NotASet`] for a text that is no set at all, [`JwkError::TooManyKeys`] for one of more than 64 entries.
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
        let alg = text("alg")?.map(str::parse).transpose().map_err(|_| JwkError::OtherPurpose)?;
        let curve = || text("crv")?.ok_or(JwkError::Malformed);
        // A key is good for one algorithm (RFC 8725 §3.1). Its kind says which, except that an RSA key can say PS256.
        let algorithm = match (text("kty")?, alg) {
            (Some("RSA"), Some(Algorithm::Ps256)) => Algorithm::Ps256,
            (Some("RSA"), _) => Algorithm::Rs256,
            (Some("EC"), _) if curve()? == "P-256" => Algorithm::Es256,
            (Some("OKP"), _) if curve()? == "Ed25519" => Algorithm::EdDsa,
            _ => return Err(JwkError::OtherPurpose),
        };
        if alg.is_some_and(|alg| alg != algorithm)
            || text("use")?.is_some_and(|purpose| purpose != "sig")
            || !verifies(members)
        {
            return Err(JwkError::OtherPurpose);
        }
        let number = |name| text(name)?.and_then(base64url::decode).ok_or(JwkError::Malformed);
        let key = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                PublicKey::Rsa(RsaPublicKey::new(number("n")?, number("e")?)?)
            }
            Algorithm::Es256 => PublicKey::Ec(EcPublicKey::p256(&number("x")?, &number("y")?)?),
            Algorithm::EdDsa => PublicKey::Okp(OkpPublicKey::ed25519(&number("x")?)?),
        };
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
    ///
    /// # Errors
    ///
    /// [`JwkError::Malformed`] for a modulus that is empty and for numbers that begin with a zero byte, [`JwkError::Weak`]
    /// for all others.
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

impl EcPublicKey {
    /// Takes the coordinates of a point, each of the full 32 bytes (RFC 7518 §6.2.1.2).
    ///
    /// # Errors
    ///
    /// [`JwkError::Malformed`] for another length. Whether the point lies on the curve is for the library that verifies.
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, JwkError> {
        let coordinate = |bytes: &[u8]| bytes.try_into().map_err(|_| JwkError::Malformed);
        Ok(Self { x: coordinate(x)?, y: coordinate(y)? })
    }

    /// The x coordinate, big-endian.
    pub fn x(&self) -> &[u8; 32] {
        &self.x
    }

    /// The y coordinate, big-endian.
    pub fn y(&self) -> &[u8; 32] {
        &self.y
    }

    /// The point as cryptographic libraries read it (SEC 1 §2.3.3, without compression).
    pub fn uncompressed(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&self.x);
        point[33..].copy_from_slice(&self.y);
        point
    }
}

/// The points of Ed25519 whose order divides 8, without the sign of their x: for such a "key", anybody can sign. Their y
/// is 0, 1, that of the four of order 8, and -1; and 0 and 1 once more, not reduced.
const SMALL_ORDER: [&str; 7] = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    "7P_______________________________________38",
    "7f_______________________________________38",
    "7v_______________________________________38",
];

impl OkpPublicKey {
    /// Takes the encoded point of an Ed25519 key, 32 bytes (RFC 8032 §5.1.5).
    ///
    /// # Errors
    ///
    /// [`JwkError::Malformed`] for another length, [`JwkError::Weak`] for a point of small order.
    pub fn ed25519(x: &[u8]) -> Result<Self, JwkError> {
        let x: [u8; 32] = x.try_into().map_err(|_| JwkError::Malformed)?;
        let mut y = x;
        y[31] &= 0x7f;
        if SMALL_ORDER.contains(&base64url::encode(y).as_str()) {
            return Err(JwkError::Weak);
        }
        Ok(Self { x })
    }

    /// The encoded point, as it stands in `x`.
    pub fn x(&self) -> &[u8; 32] {
        &self.x
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
        let (kty, numbers) = match &self.key {
            PublicKey::Rsa(RsaPublicKey { n, e }) => {
                ("RSA", vec![("n", base64url::encode(n)), ("e", base64url::encode(e))])
            }
            PublicKey::Ec(EcPublicKey { x, y }) => (
                "EC",
                vec![("crv", "P-256".to_owned()), ("x", base64url::encode(x)), ("y", base64url::encode(y))],
            ),
            PublicKey::Okp(OkpPublicKey { x }) => {
                ("OKP", vec![("crv", "Ed25519".to_owned()), ("x", base64url::encode(x))])
            }
        };
        let mut jwk = serializer.serialize_struct("Jwk", 4 + numbers.len())?;
        jwk.serialize_field("kty", kty)?;
        jwk.serialize_field("use", "sig")?;
        jwk.serialize_field("alg", &self.algorithm)?;
        jwk.serialize_field("kid", &self.kid)?;
        for (name, value) in &numbers {
            jwk.serialize_field(name, value)?;
        }
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

    /// The coordinates are those of no point: nothing here would notice.
    fn ec_entry() -> Value {
        let coordinate = |byte| base64url::encode([byte; 32]);
        json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": coordinate(0), "y": coordinate(2)})
    }

    /// The key of RFC 8037 appendix A.2.
    fn okp_entry() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    #[test]
    fn a_written_set_is_read_back_and_has_public_members_only() {
        let rsa = PublicKey::Rsa(RsaPublicKey::new(modulus(256), vec![1, 0, 1]).unwrap());
        let ec = PublicKey::Ec(EcPublicKey::p256(&[0; 32], &[2; 32]).unwrap());
        let okp = PublicKey::Okp(OkpPublicKey::ed25519(&[3; 32]).unwrap());
        let keys = [
            (rsa.clone(), Algorithm::Rs256),
            (ec, Algorithm::Es256),
            (okp, Algorithm::EdDsa),
            (rsa, Algorithm::Ps256),
        ];
        let jwk =
            |(key, algorithm): (PublicKey, Algorithm)| Jwk { kid: algorithm.to_string(), algorithm, key };
        let set = JwkSet::new(keys.map(jwk).into());
        let json = serde_json::to_vec(&set).unwrap();
        assert_eq!(JwkSet::parse(&json), Ok(set));
        let written: Value = serde_json::from_slice(&json).unwrap();
        let names = |index: usize| {
            let jwk = written["keys"][index].as_object().unwrap();
            jwk.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(0), ["alg", "e", "kid", "kty", "n", "use"].into());
        assert_eq!(names(1), ["alg", "crv", "kid", "kty", "use", "x", "y"].into());
        assert_eq!(names(2), ["alg", "crv", "kid", "kty", "use", "x"].into());
        assert_eq!(
            (&written["keys"][1]["crv"], &written["keys"][2]["crv"]),
            (&json!("P-256"), &json!("Ed25519"))
        );
    }

    /// RFC 8725 §3.1: a key that names none of its kind's algorithms is for the first of them alone.
    #[test]
    fn a_key_has_one_algorithm() {
        let read = |entry: &Value, alg: &str| {
            let mut entry = entry.clone();
            entry["alg"] = json!(alg);
            Jwk::read(&entry).map(|jwk| jwk.algorithm)
        };
        let table = [
            (entry(), &["RS256", "PS256"][..], ["ES256", "EdDSA", "RS384", "PS384", "HS256", "rs256", ""]),
            (ec_entry(), &["ES256"], ["RS256", "PS256", "EdDSA", "ES384", "ECDH-ES", "es256", ""]),
            (okp_entry(), &["EdDSA", "Ed25519"], ["RS256", "PS256", "ES256", "Ed448", "X25519", "eddsa", ""]),
        ];
        for (entry, names, others) in table {
            assert_eq!(Jwk::read(&entry).map(|jwk| jwk.algorithm), Ok(names[0].parse().unwrap()));
            for alg in names {
                assert_eq!(read(&entry, alg), Ok(alg.parse().unwrap()), "{alg}");
            }
            for alg in others {
                assert_eq!(read(&entry, alg), Err(JwkError::OtherPurpose), "{alg:?}");
            }
        }
    }

    #[test]
    fn a_point_of_small_order_is_no_key() {
        for y in SMALL_ORDER {
            let mut x = base64url::decode(y).unwrap();
            for sign in [0, 0x80] {
                x[31] |= sign;
                assert_eq!(OkpPublicKey::ed25519(&x), Err(JwkError::Weak), "{y}");
            }
            x[1] ^= 2;
            assert_eq!(OkpPublicKey::ed25519(&x).map(|key| key.x().to_vec()), Ok(x));
        }
    }

    #[test]
    fn a_point_is_written_as_0x04_and_its_coordinates() {
        let key = EcPublicKey::p256(&[1; 32], &[2; 32]).unwrap();
        assert_eq!((key.x(), key.y()), (&[1; 32], &[2; 32]));
        assert_eq!(key.uncompressed().as_slice(), [&[4][..], &[1; 32], &[2; 32]].concat());
    }

    #[test]
    fn an_unusable_entry_harms_no_other() {
        let changed = |mut entry: Value, name: &str, value: Value| {
            entry["kid"] = json!("b");
            entry[name] = value;
            entry
        };
        let with = |name: &str, value: Value| changed(entry(), name, value);
        let with_ec = |name: &str, value: Value| changed(ec_entry(), name, value);
        let with_okp = |name: &str, value: Value| changed(okp_entry(), name, value);
        let without_ec = |name: &str| {
            let mut entry = with_ec(name, json!(null));
            entry.as_object_mut().unwrap().remove(name);
            entry
        };
        let small = base64url::encode(modulus(255));
        let table = [
            (with("d", json!("AQAB")), JwkError::Private),
            (json!({"kty": "oct", "kid": "b", "k": "AQAB"}), JwkError::Private),
            (with("kid", json!("")), JwkError::NoKid),
            (with("kid", json!(7)), JwkError::Malformed),
            (with("kty", json!("OKP")), JwkError::Malformed),
            (with("kty", json!("rsa")), JwkError::OtherPurpose),
            (with("alg", json!(["RS256"])), JwkError::Malformed),
            (with("use", json!("enc")), JwkError::OtherPurpose),
            (with("alg", json!("HS256")), JwkError::OtherPurpose),
            (with("key_ops", json!(["sign"])), JwkError::OtherPurpose),
            (with("key_ops", json!("verify")), JwkError::OtherPurpose),
            (with("n", json!(small)), JwkError::Weak),
            (with("e", json!("AQ")), JwkError::Weak),
            (with("e", json!("AAEAAQ")), JwkError::Malformed),
            (with("n", json!("=")), JwkError::Malformed),
            (with("kty", json!("EC")), JwkError::Malformed),
            (with_ec("kty", json!("RSA")), JwkError::Malformed),
            (with_ec("d", json!("AQAB")), JwkError::Private),
            (with_ec("use", json!("enc")), JwkError::OtherPurpose),
            (with_ec("key_ops", json!(["deriveKey"])), JwkError::OtherPurpose),
            (with_ec("crv", json!("P-384")), JwkError::OtherPurpose),
            (with_ec("crv", json!("secp256k1")), JwkError::OtherPurpose),
            (with_ec("crv", json!("p-256")), JwkError::OtherPurpose),
            (with_ec("crv", json!(256)), JwkError::Malformed),
            (without_ec("crv"), JwkError::Malformed),
            (without_ec("x"), JwkError::Malformed),
            (without_ec("y"), JwkError::Malformed),
            (with_ec("x", json!(base64url::encode([1; 31]))), JwkError::Malformed),
            (with_ec("y", json!(base64url::encode([0; 33]))), JwkError::Malformed),
            (with_ec("y", json!("")), JwkError::Malformed),
            (with_ec("x", json!(base64url::encode([1; 32]) + "=")), JwkError::Malformed),
            (with_okp("kty", json!("EC")), JwkError::OtherPurpose),
            (with_okp("d", json!("AQAB")), JwkError::Private),
            (with_okp("use", json!("enc")), JwkError::OtherPurpose),
            (with_okp("crv", json!("Ed448")), JwkError::OtherPurpose),
            (with_okp("crv", json!("X25519")), JwkError::OtherPurpose),
            (with_okp("crv", json!(25519)), JwkError::Malformed),
            (with_okp("x", json!(base64url::encode([3; 31]))), JwkError::Malformed),
            (with_okp("x", json!(base64url::encode([3; 33]))), JwkError::Malformed),
            (with_okp("x", json!(SMALL_ORDER[0])), JwkError::Weak),
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
