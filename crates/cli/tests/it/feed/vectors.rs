//! The vectors of `docs/feed`: whoever reads the feed comes to the same verdicts.

use std::collections::BTreeSet;

use attesto_token::feed::{FeedAnswer, FeedError, MAX_FEED_BYTES, RevocableClaims, RevocationList};
use attesto_token::{Algorithm, CompactJws, Jwk, JwkSet, PublicKey, typ};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::programs::{Programs, documented};
use crate::process::run;
use crate::token::{decoded, parts};

/// Why an answer can be refused, as the vectors spell it.
const REASONS: [&str; 14] = [
    "algorithm",
    "expired",
    "future",
    "gap",
    "issuer",
    "key_revoked",
    "malformed",
    "older_epoch",
    "rolled_back",
    "salt_changed",
    "signature",
    "too_large",
    "type",
    "unknown_key",
];

/// Too long to be written down; `bad_answers.rs` has it.
const NOT_IN_THE_VECTORS: &str = "too_large";

#[test]
fn there_is_a_vector_for_every_verdict() {
    let file = vectors();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 100, "{}", vectors.len());
    let names: BTreeSet<_> = vectors.iter().map(|vector| vector["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), vectors.len(), "two vectors have one name");

    let steps = || vectors.iter().flat_map(|vector| vector["steps"].as_array().unwrap());
    let verdicts: BTreeSet<_> = steps().map(|step| step["verdict"].as_str().unwrap()).collect();
    let mut expected: BTreeSet<_> = REASONS.iter().map(|reason| format!("refused:{reason}")).collect();
    expected.remove(&format!("refused:{NOT_IN_THE_VECTORS}"));
    expected.insert("accepted".to_owned());
    assert_eq!(verdicts, expected.iter().map(String::as_str).collect());

    let revoked = steps().flat_map(|step| step["checks"].as_array().unwrap()).map(|check| &check["revoked"]);
    let revoked: BTreeSet<_> = revoked.map(|revoked| revoked.as_str().unwrap_or("nothing")).collect();
    let kinds = ["all", "kid", "client", "subject", "session", "jti", "nothing"];
    assert_eq!(revoked, kinds.into());
}

#[test]
fn the_consumers_come_to_the_verdicts_of_the_vectors() {
    let Some(programs) = Programs::find() else { return };
    let file = vectors();
    for program in ["run_vectors.py", "run_vectors.mjs"] {
        let asked =
            file["vectors"].as_array().unwrap().iter().map(
                |vector| json!({"issuer": file["issuer"], "keys": file["keys"], "steps": vector["steps"]}),
            );
        compare(program, &file, programs.ask(program, asked));
    }
}

#[test]
fn the_decoder_comes_to_the_verdicts_of_the_vectors() {
    let file = vectors();
    let keys = JwkSet::parse(file["keys"].to_string().as_bytes()).unwrap();
    let issuer = file["issuer"].as_str().unwrap();
    let run = |vector: &Value| {
        let mut list = RevocationList::default();
        let steps = vector["steps"].as_array().unwrap().iter();
        steps.map(|step| take(&mut list, step, &keys, issuer)).collect::<Vec<_>>().into()
    };
    compare("attesto-token", &file, file["vectors"].as_array().unwrap().iter().map(run).collect());
}

#[test]
fn the_vectors_are_what_their_program_makes() {
    let Some(programs) = Programs::find() else { return };
    let made = run(&mut programs.command("make_vectors.py"), "").done();
    assert!(made == documented("vectors.json"), "make_vectors.py makes something else");
}

#[test]
fn the_documented_example_is_a_vector() {
    let file = vectors();
    let mut vectors = file["vectors"].as_array().unwrap().iter();
    let vector = vectors.find(|vector| vector["name"] == "a record of the kind subject").expect("a vector");
    let [header, payload, _] = parts(vector["steps"][0]["answer"].as_str().unwrap());
    let (header, payload) = (decoded(header), decoded(payload));
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let record: Vec<_> =
        decoded(claims["records"].as_str().unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();

    let page = documented("../feed.md");
    for part in [str::from_utf8(&header).unwrap(), str::from_utf8(&payload).unwrap(), &record.join(" ")] {
        assert!(page.contains(&format!("\n{part}\n")), "{part}");
    }
}

#[test]
fn every_reason_is_documented() {
    let page = documented("../feed.md");
    for reason in REASONS {
        assert!(page.contains(&format!("[`{reason}`]")), "{reason}");
    }
}

pub(super) fn vectors() -> Value {
    serde_json::from_str(&documented("vectors.json")).unwrap()
}

#[track_caller]
fn compare(who: &str, file: &Value, seen: Vec<Value>) {
    let vectors = file["vectors"].as_array().unwrap();
    let differences: Vec<_> = vectors
        .iter()
        .zip(seen)
        .map(|(vector, seen)| (&vector["name"], expected(vector), seen))
        .filter(|(_, expected, seen)| expected != seen)
        .map(|(name, expected, seen)| format!("{name}\n  expected {expected}\n  seen     {seen}"))
        .collect();
    assert!(differences.is_empty(), "{who}: {}\n{}", differences.len(), differences.join("\n"));
}

/// What the programs print for a vector.
fn expected(vector: &Value) -> Value {
    let of_step = |step: &Value| {
        let checks = step["checks"].as_array().unwrap().iter();
        json!({
            "verdict": step["verdict"],
            "revoked": checks.map(|check| check["revoked"].clone()).collect::<Vec<_>>(),
        })
    };
    vector["steps"].as_array().unwrap().iter().map(of_step).collect::<Vec<_>>().into()
}

/// What they print, by the decoder of `attesto-token` and this test's own check of the signature.
fn take(list: &mut RevocationList, step: &Value, keys: &JwkSet, issuer: &str) -> Value {
    let now = step["now"].as_i64().unwrap();
    let answer = read(step["answer"].as_str().unwrap(), keys, issuer, now);
    let applied = answer.and_then(|answer| list.apply(&answer, now).map_err(reason));
    let verdict = applied.map_or_else(|reason| format!("refused:{reason}"), |()| "accepted".to_owned());
    let checks = step["checks"].as_array().unwrap();
    let revoked: Vec<_> = checks.iter().map(|check| revoked_by(list.clone(), check)).collect();
    json!({"verdict": verdict, "revoked": revoked})
}

fn read(text: &str, keys: &JwkSet, issuer: &str, now: i64) -> Result<FeedAnswer, &'static str> {
    let jws = CompactJws::split_within(text, MAX_FEED_BYTES).map_err(|_| "malformed")?;
    let header = jws.header().map_err(|_| "malformed")?;
    let kid = header.kid.ok_or("malformed")?;
    let signature = jws.signature().map_err(|_| "malformed")?;
    let payload = jws.payload().map_err(|_| "malformed")?;
    if header.typ.as_deref() != Some(typ::REVOCATIONS) {
        return Err("type");
    }
    let algorithm: Algorithm = header.alg.parse().map_err(|_| "algorithm")?;
    let key = keys.keys.iter().find(|key| key.kid == kid).ok_or("unknown_key")?;
    if key.algorithm != algorithm {
        return Err("algorithm");
    }
    if !verifies(key, jws.signing_input.as_bytes(), &signature) {
        return Err("signature");
    }
    FeedAnswer::read(&payload, &kid, issuer, now).map_err(reason)
}

fn verifies(key: &Jwk, message: &[u8], signature: &[u8]) -> bool {
    let verified = match &key.key {
        PublicKey::Rsa(key) => PublicKeyComponents { n: &key.n, e: &key.e }.verify(
            &RSA_PKCS1_2048_8192_SHA256,
            message,
            signature,
        ),
        PublicKey::Ec(key) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed()).verify(message, signature)
        }
        other => panic!("{other:?}"),
    };
    verified.is_ok()
}

fn revoked_by(mut list: RevocationList, check: &Value) -> Option<&'static str> {
    list.drop_expired(check["now"].as_i64().unwrap());
    let claim = |name: &str| check["claims"][name].as_str();
    let token = RevocableClaims {
        kid: check["kid"].as_str(),
        client_id: claim("client_id"),
        sub: claim("sub"),
        sid: claim("sid"),
        jti: claim("jti"),
        iat: issued_at(&check["claims"]["iat"]),
    };
    list.revoked_by(&token).map(|kind| kind.as_str())
}

/// In whole seconds, as the decoder has it: not before what it is, so that no end comes later than that.
fn issued_at(iat: &Value) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond is as far away as can be")]
    let rounded_up = |seconds: f64| seconds.ceil() as i64;
    iat.as_i64().or_else(|| iat.as_f64().map(rounded_up)).unwrap_or(0)
}

pub(super) fn reason(error: FeedError) -> &'static str {
    match error {
        FeedError::Malformed => "malformed",
        FeedError::IssuerMismatch => "issuer",
        FeedError::Expired => "expired",
        FeedError::IssuedInFuture => "future",
        FeedError::KeyRevoked => "key_revoked",
        FeedError::OlderEpoch => "older_epoch",
        FeedError::SaltChanged => "salt_changed",
        FeedError::RolledBack => "rolled_back",
        FeedError::Gap => "gap",
        other => panic!("the vectors have no word for {other:?}"),
    }
}
