//! Generated tokens before three judges: us, `jsonwebtoken` and PyJWT, the others as strict as they can be set.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use attesto_token::{JwkSet, base64url_encode};
use attesto_verifier::Error;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::oracle::Policy;
use crate::token::{AUDIENCE, EC_KEY, ED_KEY, ISSUER, KEY, NOW, PSS_KEY, SigningKey, claims};

const LEEWAY: i64 = 30;

/// Rules that another judge does not have. Each must be the reason for a difference at least once, or it does not belong
/// here; a difference for any other reason fails.
const NOT_IN_JSONWEBTOKEN: [Error; 13] = [
    Error::TypeMismatch,
    Error::CritUnsupported,
    // `exp` itself.
    Error::Expired,
    Error::IssuedInFuture,
    // A list with the right one.
    Error::ClaimInvalid("iss"),
    Error::ClaimInvalid("iat"),
    Error::ClaimInvalid("exp"),
    Error::ClaimInvalid("client_id"),
    Error::ClaimInvalid("jti"),
    Error::ClaimInvalid("scope"),
    Error::ClaimMissing("client_id"),
    Error::ClaimMissing("iat"),
    Error::ClaimMissing("jti"),
];

/// Likewise.
const NOT_IN_PYJWT: [Error; 8] = [
    Error::TypeMismatch,
    // Times that are numbers, but of no time.
    Error::ClaimInvalid("exp"),
    Error::ClaimInvalid("nbf"),
    Error::ClaimInvalid("iat"),
    Error::ClaimInvalid("client_id"),
    Error::ClaimInvalid("jti"),
    Error::ClaimInvalid("scope"),
    Error::ClaimMissing("client_id"),
];

#[test]
fn jsonwebtoken_agrees_but_for_our_own_rules() {
    let policy = policy();
    compare(&NOT_IN_JSONWEBTOKEN, &tokens(), |tokens| {
        tokens.iter().map(|token| policy.jsonwebtoken_accepts(token)).collect()
    });
}

#[test]
fn pyjwt_agrees_but_for_our_own_rules() {
    let Ok(python) = env::var("ATTESTO_TEST_PYTHON") else { return };
    compare(&NOT_IN_PYJWT, &tokens(), |tokens| pyjwt_accepts(&python, tokens));
}

fn compare(rules: &[Error], tokens: &[String], judge: impl Fn(&[String]) -> Vec<bool>) {
    let ours = policy().verifier();
    let mut needed = Vec::new();
    let mut wrong = BTreeMap::new();
    let mut accepted = 0;
    for (token, theirs) in tokens.iter().zip(judge(tokens)) {
        match (ours.verify::<Value>(token), theirs) {
            (Ok(_), true) => accepted += 1,
            (Err(_), false) => {}
            (Err(error), true) if rules.contains(&error) => needed.push(error),
            (verdict, _) => drop(wrong.insert(format!("{:?}", verdict.map(drop)), token)),
        }
    }
    assert!(wrong.is_empty(), "our verdict, and a token of which the other judge says otherwise: {wrong:#?}");
    assert!(accepted > tokens.len() / 20, "{accepted}");
    let unneeded: Vec<_> = rules.iter().filter(|rule| !needed.contains(rule)).collect();
    assert!(unneeded.is_empty(), "{unneeded:?}");
}

fn pyjwt_accepts(python: &str, tokens: &[String]) -> Vec<bool> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pyjwt.py");
    let mut process = Command::new(python);
    let mut process = process.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let Policy { issuer, audience, algorithms, leeway, now, keys, .. } = policy();
    let policy = json!({
        "issuer": issuer, "audience": audience, "algorithms": algorithms, "leeway": leeway, "now": now, "keys": keys,
    });
    let lines = tokens.iter().map(|token| json!(token).to_string()).collect::<Vec<_>>().join("\n");
    // Its answers would fill a pipe before it has read everything.
    let writer = std::thread::spawn(move || writeln!(stdin, "{policy}\n{lines}").unwrap());
    let said = process.wait_with_output().unwrap();
    writer.join().unwrap();
    let verdicts: Vec<bool> =
        String::from_utf8(said.stdout).unwrap().lines().map(|line| line == "true").collect();
    assert_eq!(verdicts.len(), tokens.len());
    verdicts
}

fn policy() -> Policy {
    let keys = JwkSet::new(keys().map(|key| key.jwk.clone()).into());
    Policy {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        r#type: "at+jwt".to_owned(),
        algorithms: ["RS256", "PS256", "ES256"].map(str::to_owned).into(),
        leeway: LEEWAY.try_into().unwrap(),
        now: NOW,
        keys: json!(keys),
    }
}

/// The last one's algorithm is not allowed.
fn keys() -> [&'static SigningKey; 4] {
    [&*KEY, &*PSS_KEY, &*EC_KEY, &*ED_KEY]
}

/// 10,000 different ones, the same claims in each run: mostly good in each respect.
fn tokens() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let token = token();
    let mut tokens = BTreeSet::new();
    while tokens.len() < 10_000 {
        tokens.insert(token.new_tree(&mut runner).unwrap().current());
    }
    tokens.into_iter().collect()
}

fn token() -> impl Strategy<Value = String> {
    let parts = (0..4_usize, changes(), header_change(), 0..40_u8, 0..100_000_u32);
    parts.prop_map(|(key, changes, header, broken, number)| {
        let key = keys()[key];
        let mut claims = claims();
        claims["n"] = json!(number);
        for (name, value) in changes {
            set(&mut claims, name, value);
        }
        let mut members = key.header();
        if let Some((name, value)) = header {
            set(&mut members, name, value);
        }
        let input =
            format!("{}.{}", base64url_encode(members.to_string()), base64url_encode(claims.to_string()));
        let mut signature = key.signature(input.as_bytes());
        if broken == 0 {
            signature[40] ^= 1;
        }
        format!("{input}.{}", base64url_encode(signature))
    })
}

/// A claim and its value, `None` to leave it out.
type Change = (&'static str, Option<Value>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(prop_oneof![time_change(), claim_change()], 0..3)
}

fn time_change() -> impl Strategy<Value = Change> {
    let seconds = [-LEEWAY - 1, -LEEWAY, 1 - LEEWAY, 0, LEEWAY, LEEWAY + 1, 3_600, -3_600];
    let mut values: Vec<_> = seconds.iter().map(|distance| Some(json!(NOW + distance))).collect();
    values.extend([json!(NOW.to_string()), json!(true), json!([]), json!(-1), json!(1_u64 << 60)].map(Some));
    values.push(None);
    (prop::sample::select(vec!["exp", "nbf", "iat"]), prop::sample::select(values))
}

fn claim_change() -> impl Strategy<Value = Change> {
    let table = [
        ("iss", json!(["https://evil.example", [ISSUER, "x"], [], 7, "", {}])),
        ("aud", json!([["x", AUDIENCE], "x", ["x"], [], 7, {}, [7], AUDIENCE])),
        ("sub", json!(["7", 7, ["42"]])),
        ("client_id", json!(["cli", 7, ""])),
        ("jti", json!(["a", "", 7])),
        ("sid", json!(["beef"])),
        ("scope", json!(["", "a", ["a"], 7])),
        ("other", json!([{"a": [1, 2.5, null]}, "ü"])),
    ];
    let changes = table.iter().flat_map(|(name, values)| {
        let values = values.as_array().unwrap().clone().into_iter().map(Some).chain([None]);
        values.map(|value| (*name, value))
    });
    prop::sample::select(changes.collect::<Vec<_>>())
}

fn header_change() -> impl Strategy<Value = Option<Change>> {
    let changes = [
        ("typ", Some(json!("JWT"))),
        ("typ", Some(json!("application/at+jwt"))),
        ("typ", None),
        ("alg", Some(json!("none"))),
        ("alg", Some(json!("HS256"))),
        ("alg", Some(json!("RS256"))),
        ("alg", Some(json!("PS256"))),
        ("alg", Some(json!("ES256"))),
        ("alg", None),
        ("kid", Some(json!(KEY.jwk.kid))),
        ("kid", Some(json!(EC_KEY.jwk.kid))),
        ("kid", Some(json!("x"))),
        ("kid", None),
        ("crit", Some(json!(["exp"]))),
        ("x", Some(json!("ignored"))),
    ];
    prop_oneof![3 => Just(None), 1 => prop::sample::select(changes.to_vec()).prop_map(Some)]
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    let members = object.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
}
