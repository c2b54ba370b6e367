//! `attesto keys`, each command with and without a server beside it.

mod compromise;
mod export;
mod import;
mod kek;
mod list;
mod moves;
mod plan;
mod rewrap;

use std::collections::BTreeSet;

use attesto_token::base64url_decode;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::authority::Authority;
use crate::process::until;
use crate::server::Server;

/// Intervals of seconds: a staged key may be promoted two seconds after it was published, and a retiring one withdrawn
/// one second after its last token has expired.
const SHORT_INTERVALS: [(&str, &str); 9] = [
    ("ATTESTO_ALLOW_SHORT_INTERVALS", "true"),
    ("ATTESTO_JWKS_MAX_AGE", "1s"),
    ("ATTESTO_JWKS_STALE_WHILE_REVALIDATE", "0s"),
    ("ATTESTO_VERIFIER_REFRESH_INTERVAL", "0s"),
    ("ATTESTO_VERIFIER_CACHE_INTERVAL", "0s"),
    ("ATTESTO_VERIFIER_SKEW_INTERVAL", "0s"),
    ("ATTESTO_KEY_CONFIRMATION_INTERVAL", "1s"),
    ("ATTESTO_KEY_STAGE_INTERVAL", "0s"),
    ("ATTESTO_ACCESS_TOKEN_LIFETIME", "1s"),
];

/// The same authority, whose rotations can be watched.
fn quick(authority: Authority) -> Authority {
    SHORT_INTERVALS.into_iter().fold(authority, |authority, (name, text)| authority.with(name, text))
}

/// Starts a server, and waits until commands know of it: it says so right after it listens.
#[track_caller]
pub(crate) fn start(authority: &Authority) -> Server {
    let server = authority.start();
    until("the server reports", || {
        let plan = authority.run(&["keys", "plan"]).done();
        (!plan.contains("No server runs")).then_some(())
    });
    server
}

/// The keys of tokens, as programs see them.
#[track_caller]
fn list(authority: &Authority) -> Vec<Value> {
    authority.json(&["keys", "list", "--purpose", "token"]).as_array().unwrap().clone()
}

/// The keys of tokens and of the feed.
#[track_caller]
fn list_all(authority: &Authority) -> Vec<Value> {
    authority.json(&["keys", "list"]).as_array().unwrap().clone()
}

/// The oldest key in a state.
#[track_caller]
fn kid_of(authority: &Authority, state: &str) -> String {
    let keys = list(authority);
    let key = keys.iter().find(|key| key["state"] == state);
    text(&key.unwrap_or_else(|| panic!("no key is {state}: {keys:?}"))["kid"])
}

/// A key, as programs see it.
#[track_caller]
fn key(authority: &Authority, kid: &str) -> Value {
    let found = list(authority).into_iter().find(|key| key["kid"] == kid);
    found.unwrap_or_else(|| panic!("no key {kid}"))
}

/// Where a key stands.
#[track_caller]
fn state_of(authority: &Authority, kid: &str) -> String {
    text(&key(authority, kid)["state"])
}

/// Tries a command until the guard that it waits for allows it.
#[track_caller]
fn once_allowed(authority: &Authority, command: &[&str]) -> Value {
    let command = [command, &["--json"]].concat();
    until("the guard allows it", || match authority.run(&command).any() {
        (Some(0), said, _) => Some(serde_json::from_str(&said).unwrap()),
        (Some(75), ..) => None,
        other => panic!("{command:?}: {other:?}"),
    })
}

/// The audit rows of one reason, the oldest first: event, actor and key.
fn audited(authority: &Authority, reason: &str) -> Vec<(String, String, Option<String>)> {
    let rows = authority.json(&["audit", "list"]);
    let of_reason = rows.as_array().unwrap().iter().rev().filter(|row| row["reason"] == reason);
    of_reason
        .map(|row| (text(&row["event"]), text(&row["actor"]), row["kid"].as_str().map(str::to_owned)))
        .collect()
}

/// Who signed a token, as its header says.
fn kid_in(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&base64url_decode(header).expect("base64url")).unwrap();
    text(&header["kid"])
}

/// The names of an object's members, in order.
fn members(object: &Value) -> Vec<&str> {
    let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// The `kid` of every key in a list, or in a JWK Set.
fn kids(keys: &Value) -> BTreeSet<String> {
    keys.as_array().unwrap().iter().map(|key| text(&key["kid"])).collect()
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Milliseconds since 1970.
#[track_caller]
fn instant(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(&text(value)).expect("RFC 3339").timestamp_millis()
}

/// The PEM file of a new RSA key, in PKCS#8.
pub(crate) fn rsa_pem() -> String {
    pem("PRIVATE KEY", &rsa())
}

/// A new RSA key in PKCS#8.
fn rsa() -> Vec<u8> {
    let key: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    key.as_ref().to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
