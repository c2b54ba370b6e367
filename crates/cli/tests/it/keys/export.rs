use std::process::Command;

use serde_json::{Value, json};

use super::{kid_of, kids, list, text};
use crate::authority::{Authority, CONFIGURATION};
use crate::clients::Tools;
use crate::process::run;

/// Reads a public key from PEM, and gives its numbers in hexadecimal digits.
const READ: &str = "
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
numbers = load_pem_public_key(sys.stdin.buffer.read()).public_numbers()
print(json.dumps({name: f'{getattr(numbers, name):x}' for name in ('n', 'e', 'x', 'y') if hasattr(numbers, name)}))
";

#[test]
fn another_library_reads_the_same_key() {
    let Some(tools) = Tools::find() else { return };
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    for key in list(&authority) {
        let kid = text(&key["kid"]);
        let pem = authority.run(&["keys", "export-public", &kid[..8]]).done();
        let numbers = run(Command::new(&tools.python).args(["-c", READ]), &pem).done();
        let numbers: Value = serde_json::from_str(&numbers).unwrap();
        let jwk = authority.run(&["keys", "export-public", &kid, "--format", "jwk"]).done();
        let jwk: Value = serde_json::from_str(&jwk).unwrap();
        assert_eq!((&jwk["kid"], &jwk["alg"], &jwk["d"]), (&key["kid"], &key["algorithm"], &Value::Null));
        let names = if jwk["kty"] == "RSA" { ["n", "e"] } else { ["x", "y"] };
        for name in names {
            assert_eq!(text(&numbers[name]), hex(&text(&jwk[name])), "{name} of {kid}");
        }
    }
}

#[test]
fn a_public_half_is_the_published_one() {
    let authority = Authority::dev();
    let server = authority.start();
    let kid = kid_of(&authority, "active");
    let set = server.get("/.well-known/jwks.json").json();
    let published = set["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == kid).unwrap();
    let jwk = authority.json(&["keys", "export-public", &kid, "--format", "jwk"]);
    assert_eq!(jwk, *published);
    let pem = authority.run(&["keys", "export-public", &kid]).done();
    assert!(
        pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("\n-----END PUBLIC KEY-----\n"),
        "{pem}"
    );
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
    assert_eq!(authority.json(&["keys", "export-public", &kid]), json!({"kid": kid, "pem": pem}));

    authority.run(&["keys", "compromise", &kid]).done();
    assert!(!kids(&server.get("/.well-known/jwks.json").json()["keys"]).contains(&kid));
    assert_eq!(authority.run(&["keys", "export-public", &kid]).done(), pem, "as long as there is a row");
}

/// Digits without leading zeros, of a number in base64url.
fn hex(number: &str) -> String {
    let bytes = attesto_token::base64url_decode(number).expect("base64url");
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat().trim_start_matches('0').to_owned()
}
