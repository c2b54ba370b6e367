//! The published vectors, `vectors/vectors.json`: our verdicts, and those of `jsonwebtoken` with strict settings.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use attesto_verifier::Error;
use serde::Deserialize;
use serde_json::Value;

use crate::oracle::Policy;

static FILE: LazyLock<File> =
    LazyLock::new(|| serde_json::from_slice(&std::fs::read(folder().join("vectors.json")).unwrap()).unwrap());

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: serde_json::Map<String, Value>,
    #[expect(dead_code, reason = "for whoever makes more vectors")]
    signers: Value,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    group: String,
    name: String,
    verdict: Verdict,
    reason: Option<String>,
    #[serde(default)]
    policy: serde_json::Map<String, Value>,
    token: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Accepted,
    Refused,
}

impl Vector {
    fn policy(&self) -> Policy {
        let mut policy = FILE.policy.clone();
        policy.extend(self.policy.clone());
        serde_json::from_value(policy.into()).unwrap()
    }

    fn title(&self) -> String {
        format!("{}: {}", self.group, self.name)
    }
}

#[test]
fn the_file_is_complete() {
    let vectors = &FILE.vectors;
    assert!(vectors.len() >= 120, "{}", vectors.len());
    let titles: BTreeSet<_> = vectors.iter().map(Vector::title).collect();
    assert_eq!(titles.len(), vectors.len(), "two vectors have one name");
    for vector in vectors {
        assert_eq!(vector.reason.is_some(), vector.verdict == Verdict::Refused, "{}", vector.title());
    }
    let reasons: BTreeSet<_> = vectors.iter().filter_map(|vector| vector.reason.as_deref()).collect();
    let expected = [
        Error::Malformed,
        Error::TooLarge,
        Error::AlgNotAllowed,
        Error::TypeMismatch,
        Error::CritUnsupported,
        Error::KeyUnknown,
        Error::SignatureInvalid,
        Error::Expired,
        Error::NotYetValid,
        Error::IssuedInFuture,
        Error::IssuerMismatch,
        Error::AudienceMismatch,
        Error::ClaimMissing("exp"),
        Error::ClaimInvalid("exp"),
    ];
    assert_eq!(reasons, expected.iter().map(Error::code).collect());
    let accepted = vectors.iter().filter(|vector| vector.verdict == Verdict::Accepted);
    assert!(accepted.count() >= 30);
}

#[test]
fn we_come_to_these_verdicts() {
    let wrong = FILE.vectors.iter().filter_map(|vector| {
        let verdict = ours(vector);
        let code = verdict.as_ref().err().map(Error::code);
        (code != vector.reason.as_deref()).then(|| format!("{}: {verdict:?}", vector.title()))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn ours(vector: &Vector) -> Result<(), Error> {
    vector.policy().verifier().verify::<Value>(&vector.token).map(drop)
}

#[test]
fn the_file_is_what_its_program_makes() {
    let without = env::var("ATTESTO_TEST_WITHOUT").unwrap_or_default();
    if without.split(',').any(|step| step == "clients") {
        return;
    }
    let python = env::var("ATTESTO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let made = Command::new(python).arg(folder().join("make_vectors.py")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = std::fs::read(folder().join("vectors.json")).unwrap();
    assert!(made.stdout == file, "make_vectors.py makes something else");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Where `jsonwebtoken` comes to another verdict: the reason of the vectors, how their titles begin, and why it differs.
/// Each of those vectors must differ, and no other may.
const DIFFERENCES: [(Option<&str>, &str, &str); 40] = [
    (None, "algorithms: good, EdDSA under its newer name", "does not know RFC 9864"),
    (None, "keys: an Ed25519 key that says Ed25519", "does not know RFC 9864"),
    (Some("alg_not_allowed"), "keys: an RSA key without alg", "a key without alg is for all of its family"),
    (Some("type_mismatch"), "typ: ", "does not look at typ"),
    (Some("malformed"), "typ: typ null", "takes null for an absent member"),
    (Some("crit_unsupported"), "crit and b64: b64", "does not look at b64"),
    (Some("crit_unsupported"), "crit and b64: crit [", "does not look at crit"),
    (Some("crit_unsupported"), "crit and b64: crit null", "does not look at crit"),
    (Some("too_large"), "sizes and nesting: 8,193 bytes", "has no limit"),
    (Some("malformed"), "duplicate members: header, nested", "looks at its own members alone"),
    (Some("malformed"), r#"duplicate members: header, "x""#, "looks at its own members alone"),
    (Some("malformed"), r#"duplicate members: payload, "x""#, "looks at its own members alone"),
    (Some("malformed"), r#"duplicate members: payload, "":1"#, "looks at its own members alone"),
    (
        Some("malformed"),
        "forms: payload: a claim with the name $serde_json",
        "leaves it to serde_json's features",
    ),
    (Some("expired"), "times: exp is now", "exp itself is still good"),
    (Some("claim_invalid"), "times: exp is 2^53", "any positive integer is a time"),
    (Some("claim_invalid"), "times: exp is 2^63", "any positive integer is a time"),
    (Some("claim_invalid"), "times: exp is in ", "any positive integer is a time"),
    (Some("issued_in_future"), "times: iat is now", "does not look at iat"),
    (Some("claim_invalid"), "times: iat is ", "does not look at iat"),
    (Some("claim_missing"), "times: no iat", "does not look at iat"),
    (Some("claim_invalid"), "claims: iss [", "one right issuer in a list is enough"),
    (Some("claim_invalid"), r#"claims: sub """#, "any string is a subject"),
    (Some("claim_invalid"), "claims: client_id ", "does not look at client_id"),
    (Some("claim_missing"), "claims: no client_id", "does not look at client_id"),
    (Some("claim_invalid"), "claims: jti ", "does not look at jti"),
    (Some("claim_missing"), "claims: no jti", "does not look at jti"),
    (Some("claim_invalid"), "claims: sid ", "does not look at sid"),
    (Some("claim_invalid"), "claims: scope ", "does not look at scope"),
    (Some("key_unknown"), "keys: a key for encryption", "does not look at use"),
    (Some("key_unknown"), "keys: a key with key_ops", "does not look at key_ops"),
    (Some("key_unknown"), "keys: a key with its private half", "does not look at d"),
    (Some("key_unknown"), "keys: a key with d alone", "does not look at d"),
    (Some("key_unknown"), "keys: a key of Ed25519 with its private half", "does not look at d"),
    (Some("key_unknown"), "keys: a key of Ed25519 that is the identity", "takes points of small order"),
    (Some("key_unknown"), "keys: a key of Ed25519 that is of order 4", "takes points of small order"),
    (Some("key_unknown"), "keys: a key with the exponent 3", "takes any exponent that its backend takes"),
    (Some("key_unknown"), "keys: a key that says P-384", "does not compare crv with alg"),
    (Some("key_unknown"), "keys: one key twice", "takes the first of a kid"),
    (Some("key_unknown"), "keys: two keys of one kid", "takes the first of a kid"),
];

#[test]
fn jsonwebtoken_comes_to_these_verdicts_but_for_known_differences() {
    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    for vector in &FILE.vectors {
        let title = vector.title();
        let known = DIFFERENCES.iter().position(|(reason, beginning, _)| {
            *reason == vector.reason.as_deref() && title.starts_with(beginning)
        });
        needed.extend(known);
        let agrees =
            vector.policy().jsonwebtoken_accepts(&vector.token) == (vector.verdict == Verdict::Accepted);
        if agrees == known.is_some() {
            wrong.push(format!("{title}: agrees: {agrees}, {:?}", known.map(|index| DIFFERENCES[index])));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(needed.len(), DIFFERENCES.len(), "a difference is there for no vector");
}
