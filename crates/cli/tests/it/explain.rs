//! `explain`: what a token is, and check by check why it is accepted or refused.

use std::collections::BTreeMap;

use attesto_token::base64url_encode;
use serde_json::Value;

use crate::authority::Authority;
use crate::process::until;
use crate::token::{parts, with_claim, with_other_signature};

/// What `explain` said of a token.
struct Explained {
    kind: String,
    accepted: bool,
    /// Whether each check passed, and what it found.
    checks: BTreeMap<String, (bool, String)>,
}

const CHECKS: [&str; 9] = ["alg", "aud", "iat, exp", "iss", "kid", "session", "signature", "typ", "verifier"];

#[test]
fn what_is_good_passes_every_check() {
    let authority = Authority::dev();
    let server = authority.start();
    let pair = server.sign_in();
    for (token, kind, generation) in [
        (&pair.access, "an access token", ""),
        (&pair.refresh, "a refresh token", "generation 1 is the current one"),
    ] {
        let explained = explain(&authority, token);
        assert_eq!((explained.kind.as_str(), explained.accepted), (kind, true));
        assert_eq!(explained.checks.keys().collect::<Vec<_>>(), CHECKS);
        assert_eq!(explained.failed(), [""; 0]);
        let (_, session) = &explained.checks["session"];
        assert!(
            session.starts_with("alive, of dev at simplejwt") && session.ends_with(generation),
            "{session}"
        );
    }
    assert!(explain(&authority, &format!(" Bearer {}\n", pair.access)).accepted);

    let said = authority.run_with(&["explain"], &pair.access).done();
    assert!(
        said.starts_with("This is an access token. It is accepted.\n") && !said.contains("REFUSED"),
        "{said}"
    );
    let said = authority.run_with(&["explain"], &with_other_signature(&pair.access)).done();
    assert!(
        said.starts_with("This is an access token. It is refused.\n") && said.contains("REFUSED"),
        "{said}"
    );
    server.refresh(&pair.refresh).pair();
}

#[test]
fn what_is_altered_or_strange_fails_where_it_is_wrong() {
    let authority = Authority::dev();
    let server = authority.start();
    let pair = server.sign_in();
    let others = Authority::dev();
    let elsewhere = others.start().sign_in();
    let [_, payload, signature] = parts(&pair.access);
    let header = base64url_encode(br#"{"alg":"none","typ":"JWT"}"#);
    let table: [(String, &[&str]); 5] = [
        (with_other_signature(&pair.access), &["signature", "verifier"]),
        (with_claim(&pair.access, "user_id", "somebody"), &["signature", "verifier"]),
        (with_claim(&pair.refresh, "iss", "https://elsewhere.example"), &["iss", "signature", "verifier"]),
        (elsewhere.access, &["iss", "kid", "session", "signature", "verifier"]),
        (format!("{header}.{payload}.{signature}"), &["alg", "kid", "signature", "typ", "verifier"]),
    ];
    for (token, expected) in table {
        let explained = explain(&authority, &token);
        assert!(!explained.accepted);
        assert_eq!(explained.failed(), expected, "{token}");
    }
    for garbage in ["", "garbage", "a.b", "a.b.c", "..", "{\"access\":1}"] {
        let explained = explain(&authority, garbage);
        assert_eq!((explained.kind.as_str(), explained.accepted), ("unreadable", false), "{garbage}");
        assert_eq!(explained.failed(), ["form"]);
    }
}

#[test]
fn what_is_over_fails_at_its_session() {
    let authority = Authority::dev();
    let server = authority.start();
    let pair = server.sign_in();
    let successor = server.refresh(&pair.refresh).pair();
    let within_its_grace = explain(&authority, &pair.refresh);
    assert!(within_its_grace.accepted);
    let (_, session) = &within_its_grace.checks["session"];
    assert!(session.contains("followed by generation 2, which it still gets"), "{session}");

    let last = server.refresh(&successor.refresh).pair();
    let replayed = explain(&authority, &pair.refresh);
    assert_eq!(replayed.failed(), ["session"]);
    let (_, session) = &replayed.checks["session"];
    assert!(session.contains("generation 1 was followed by 3: presented, it ends the session"), "{session}");

    server.blacklist(&last.refresh).json();
    for token in [&last.access, &last.refresh, &successor.refresh, &pair.refresh] {
        assert_eq!(explain(&authority, token).failed(), ["session"]);
    }
}

#[test]
fn what_has_expired_fails_at_its_times() {
    let authority = Authority::dev().with("ATTESTO_ACCESS_TOKEN_LIFETIME", "1s");
    let pair = authority.start().sign_in();
    let explained = until("a token of one second has expired", || {
        Some(explain(&authority, &pair.access)).filter(|explained| !explained.accepted)
    });
    assert_eq!(explained.failed(), ["iat, exp", "verifier"]);
    assert!(explained.checks["iat, exp"].1.ends_with(": expired"));
    assert!(explained.checks["verifier"].1.ends_with("(expired)"));
}

#[track_caller]
fn explain(authority: &Authority, token: &str) -> Explained {
    let said: Value =
        serde_json::from_str(&authority.run_with(&["explain", "--json"], token).done()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let check =
        |check: &Value| (text(&check["name"]), (check["passed"].as_bool().unwrap(), text(&check["finding"])));
    Explained {
        kind: text(&said["kind"]),
        accepted: said["accepted"].as_bool().unwrap(),
        checks: said["checks"].as_array().unwrap().iter().map(check).collect(),
    }
}

impl Explained {
    /// The checks that were not passed, by name.
    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|(_, (passed, _))| !passed);
        failed.map(|(name, _)| name.as_str()).collect()
    }
}

#[test]
fn a_key_that_somebody_slipped_in_is_no_key() {
    let authority = Authority::dev();
    let pair = authority.start().sign_in();
    authority.sqlite(
        "INSERT INTO keys SELECT 'slipped', algorithm, purpose, 'retired', public_jwk, NULL, kek_id, authority_id, \
         created_at, published_at, active_at, demoted_at, retired_at, destroyed_at, compromised_at, mac FROM keys \
         WHERE state = 'active' AND purpose = 'token'",
    );
    let line = authority.run_with(&["explain"], &pair.access).refused(78);
    assert!(line.contains("\"slipped\" was changed by somebody without the key-encryption key"), "{line}");
}
