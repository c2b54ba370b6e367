//! Public test vectors, read from the folder that `ATTESTO_VECTORS` names. Without the variable these tests are no
//! part of the run; with it, a file that is absent fails.
//!
//! The JWS among them have neither `typ` nor claims, so they are judged by header, key and signature alone.

mod raw;

use std::path::{Path, PathBuf};
use std::{env, fs};

use attesto_token::{Algorithm, CompactJws, Jwk, JwkSet, PublicKey, RsaPublicKey};
use serde_json::{Value, json};

use crate::backend;
use crate::error::Error;
use crate::keys::KeySet;

/// Verdicts of Wycheproof that we overrule, by `tcId`. A vector that no longer needs its exception fails.
const JWS_EXCEPTIONS: [(u64, &str); 4] = [
    (259, "an empty payload is no claims set"),
    (272, "an empty payload is no claims set"),
    (346, "the key is for PS256, the header says PS384"),
    (350, "the key is for PS256, the header says PS384"),
];
const JWK_EXCEPTIONS: [(u64, &str); 1] =
    [(7, "no check for primes of the ROCA form: issuers make their own keys")];

#[test]
fn wycheproof_json_web_signature() {
    let Some(vectors) = read("wycheproof/json_web_signature_test.json") else { return };
    let mut verdicts = Verdicts::new(&JWS_EXCEPTIONS);
    for group in groups(&vectors) {
        // Symmetric keys have no public half.
        let jwk = group.get("public").or(group.get("private")).unwrap();
        for test in tests(group) {
            // What is valid under a key for another algorithm is not for us.
            let ours = ["RS256", "PS256", "ES256"].iter().any(|alg| jwk["alg"] == *alg);
            let expected = ours && test["result"] == "valid";
            verdicts.add(test, expected, accepts(&json!({"keys": [jwk]}), &test["jws"]));
        }
    }
    verdicts.finish(401);
}

#[test]
fn wycheproof_json_web_key() {
    let Some(vectors) = read("wycheproof/json_web_key_test.json") else { return };
    let mut verdicts = Verdicts::new(&JWK_EXCEPTIONS);
    for group in groups(&vectors) {
        let jwks = group.get("public").or(group.get("private")).unwrap();
        for test in tests(group) {
            let ours = jwks["keys"].as_array().unwrap().iter().all(|jwk| jwk["kty"] != "oct");
            verdicts.add(test, ours && test["result"] == "valid", accepts(jwks, &test["jws"]));
        }
    }
    verdicts.finish(26);
}

#[test]
fn wycheproof_rsa_signature() {
    for (name, algorithm, count) in [
        ("rsa_signature_2048_sha256", Algorithm::Rs256, 259),
        ("rsa_signature_3072_sha256", Algorithm::Rs256, 259),
        ("rsa_signature_4096_sha256", Algorithm::Rs256, 258),
        ("rsa_pss_2048_sha256_mgf1_32", Algorithm::Ps256, 108),
    ] {
        let Some(vectors) = read(&format!("wycheproof/{name}_test.json")) else { return };
        // The `acceptable` one lacks the NULL of its AlgorithmIdentifier (RFC 8017 §A.2.4): refused.
        let mut verdicts = Verdicts::new(&[]);
        for group in groups(&vectors) {
            let modulus = hex(group["publicKey"]["modulus"].as_str().unwrap().strip_prefix("00").unwrap());
            let exponent = hex(group["publicKey"]["publicExponent"].as_str().unwrap());
            // Some have the exponent 3, which a JWK may not have here.
            let key = PublicKey::Rsa(RsaPublicKey { n: modulus, e: exponent });
            let jwk = Jwk { kid: key.thumbprint(), algorithm, key };
            for test in tests(group) {
                let message = hex(test["msg"].as_str().unwrap());
                let signature = hex(test["sig"].as_str().unwrap());
                let accepted = backend::VerifyingKey::new(&jwk).unwrap().verifies(&message, &signature);
                verdicts.add(test, test["result"] == "valid", accepted);
                #[cfg(all(feature = "aws-lc", feature = "ring"))]
                assert_eq!(
                    backend::ring::VerifyingKey::new(&jwk).unwrap().verifies(&message, &signature),
                    accepted,
                    "the backends disagree: {test}"
                );
            }
        }
        verdicts.finish(count);
    }
}

/// RFC 7520 §4.1 is ours; every other example is of another algorithm or serialization.
#[test]
fn jose_cookbook() {
    let Some(rs256) = read("jose-cookbook/jws/4_1.rsa_v15_signature.json") else { return };
    let public = |key: &Value| {
        let mut jwk = serde_json::Map::new();
        for name in ["kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "k"] {
            jwk.extend(key.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        json!({"keys": [jwk]})
    };
    let bilbo = public(&rs256["input"]["key"]);
    assert!(accepts(&bilbo, &rs256["output"]["compact"]));
    for form in ["json", "json_flat"] {
        assert!(!accepts(&bilbo, &rs256["output"][form]), "{form}");
    }
    for path in [
        "jws/4_2.rsa-pss_signature.json",
        "jws/4_3.ecdsa_signature.json",
        "jws/4_4.hmac-sha2_integrity_protection.json",
        "jws/4_5.signature_with_detached_content.json",
        "jws/4_6.protecting_specific_header_fields.json",
        "jws/4_7.protecting_content_only.json",
        "jws/4_8.multiple_signatures.json",
        "rfc7797/4.2.hmac-sha2_b64_false.json",
        "rfc7797/hmac-sha2_b64_false.json",
    ] {
        let example = read(&format!("jose-cookbook/{path}")).unwrap();
        let keys = [example["input"]["key"].clone(), rs256["input"]["key"].clone()];
        let outputs = example["output"].as_object().unwrap();
        assert!(!outputs.is_empty(), "{path}");
        for (form, output) in outputs {
            for key in &keys {
                assert!(!accepts(&public(key), output), "{path}, {form}");
            }
        }
    }
}

/// Header, key and signature of a JWS, which a serialization as JSON never passes.
fn accepts(set: &Value, token: &Value) -> bool {
    let set = JwkSet::parse(set.to_string().as_bytes()).unwrap();
    let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
    let payload = || -> Result<Vec<u8>, Error> {
        let keys = KeySet::new(&set).map_err(|_| Error::KeysUnavailable)?;
        let jws = CompactJws::split(&token)?;
        let header = jws.header()?;
        let alg = header.alg.parse().map_err(|_| Error::AlgNotAllowed)?;
        let kid = header.kid.ok_or(Error::KeyUnknown)?;
        keys.get(&kid).ok_or(Error::KeyUnknown)?.verified_payload(&jws, alg)
    };
    payload().is_ok()
}

/// Counts what was judged and insists that every exception is needed.
struct Verdicts {
    exceptions: &'static [(u64, &'static str)],
    judged: usize,
    wrong: Vec<String>,
}

impl Verdicts {
    fn new(exceptions: &'static [(u64, &'static str)]) -> Self {
        Self { exceptions, judged: 0, wrong: Vec::new() }
    }

    fn add(&mut self, test: &Value, expected: bool, accepted: bool) {
        self.judged += 1;
        let exception = self.exceptions.iter().find(|(id, _)| test["tcId"] == *id);
        if (expected == accepted) == exception.is_some() {
            let id = &test["tcId"];
            self.wrong.push(format!("{id}: {}, accepted: {accepted}, {exception:?}", test["comment"]));
        }
    }

    fn finish(self, count: usize) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert_eq!(self.judged, count);
    }
}

fn read(path: &str) -> Option<Value> {
    // A relative folder is one of the workspace.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path: PathBuf = workspace.join(env::var_os("ATTESTO_VECTORS")?).join(path);
    let json = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&json).unwrap())
}

fn groups(vectors: &Value) -> &Vec<Value> {
    vectors["testGroups"].as_array().unwrap()
}

fn tests(group: &Value) -> &Vec<Value> {
    group["tests"].as_array().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
