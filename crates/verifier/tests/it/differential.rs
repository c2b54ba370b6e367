//! The same tokens before `jsonwebtoken` with its strict settings.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use attesto_verifier::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::token::{AUDIENCE, ISSUER, KEY};

/// Rules that `jsonwebtoken` does not have. Each must be the reason for a difference at least once, or it does not
/// belong here; a difference for any other reason fails.
const OURS_ALONE: [(&str, Error); 6] = [
    ("iss is one string", Error::ClaimInvalid("iss")),
    ("iat is in the past", Error::IssuedInFuture),
    ("iat is a number", Error::ClaimInvalid("iat")),
    ("iat is required", Error::ClaimMissing("iat")),
    ("jti is required", Error::ClaimMissing("jti")),
    ("client_id is required", Error::ClaimMissing("client_id")),
];

#[test]
fn verdicts_agree_but_for_our_own_rules() {
    let ours = Verifier::from_jwks(ISSUER, AUDIENCE, &KEY.jwks()).unwrap();
    let tokens = tokens();
    assert!(tokens.len() > 500, "{}", tokens.len());
    let mut accepted = 0;
    let mut seen = BTreeSet::new();
    for claims in &tokens {
        let token = KEY.token(claims);
        match (ours.verify::<Value>(&token), theirs_accepts(&token)) {
            (Ok(_), true) => accepted += 1,
            (Err(_), false) => {}
            (Ok(_), false) => panic!("only we accept {claims}"),
            (Err(error), true) => {
                let rule = OURS_ALONE.iter().find(|(_, ours)| *ours == error);
                let (rule, _) = rule.unwrap_or_else(|| panic!("only we refuse {claims}: {error}"));
                seen.insert(*rule);
            }
        }
    }
    assert!(accepted > 10, "{accepted}");
    assert_eq!(seen, OURS_ALONE.iter().map(|(rule, _)| *rule).collect());
}

#[expect(clippy::disallowed_methods, reason = "the other side of the comparison")]
fn theirs_accepts(token: &str) -> bool {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    validation.leeway = 30;
    let key = DecodingKey::from_rsa_raw_components(KEY.modulus(), &[1, 0, 1]);
    jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
}

/// Each claim in each of its shapes, the times in every combination.
fn tokens() -> Vec<Value> {
    let now = now();
    let base = json!({
        "iss": ISSUER, "sub": "42", "aud": AUDIENCE, "exp": now + 600, "iat": now, "jti": "a", "client_id": "web",
    });
    let instants = [
        json!(now - 3600),
        json!(now - 35),
        json!(now - 25),
        json!(now),
        json!(now + 25),
        json!(now + 3600),
        json!(format!("{now}")),
        json!(null),
    ];
    let issuers = [json!(ISSUER), json!("https://evil.example"), json!([ISSUER, "x"]), json!(7), json!("")];
    let audiences =
        [json!(AUDIENCE), json!(["x", AUDIENCE]), json!("x"), json!([]), json!({}), json!(7), json!([7])];

    let mut tokens = Vec::new();
    for exp in &instants {
        for nbf in &instants {
            for iat in &instants {
                tokens.push(changed(&base, &[("exp", exp), ("nbf", nbf), ("iat", iat)]));
            }
        }
    }
    for iss in &issuers {
        for aud in &audiences {
            tokens.push(changed(&base, &[("iss", iss), ("aud", aud)]));
        }
    }
    for name in base.as_object().unwrap().keys() {
        let mut without = base.clone();
        without.as_object_mut().unwrap().remove(name);
        tokens.push(without);
    }
    tokens
}

fn changed(base: &Value, changes: &[(&str, &Value)]) -> Value {
    let mut claims = base.clone();
    for (name, value) in changes {
        claims[name] = (*value).clone();
    }
    claims
}

#[expect(clippy::disallowed_methods, reason = "the other library knows no other clock")]
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
