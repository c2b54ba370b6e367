//! What stands in the files and in the log: never a secret that works by itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use attesto_token::base64url_decode;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use serde_json::json;

use crate::authority::{Authority, CONFIGURATION, Files, paths_in};
use crate::http::{Pair, post};
use crate::server::{Credentials, Server};
use crate::token::{claims, decoded, parts, with_other_signature};

/// Byte strings that must not be found, each with a name for the message.
#[derive(Default)]
struct Secrets(BTreeMap<String, Vec<u8>>);

#[test]
fn no_file_and_no_log_line_holds_a_secret() {
    let authority = Authority::dev().with("ATTESTO_LOG", "trace");
    let server = authority.start();
    let file = authority.dev_file();
    let text = |name: &str| file[name].as_str().unwrap();
    let mut secrets = Secrets::default();
    secrets.add("password", text("password"));
    secrets.add("client secret", text("client_secret"));
    let added = authority.json(&["clients", "add", "billing", "--audience", "billing", "--confidential"]);
    secrets.add("secret of an added client", added["client_secret"].as_str().unwrap());
    use_everything(&authority, &server, &mut secrets);

    let while_it_runs = authority.files();
    let log = authority.log();
    assert!(log.contains(" TRACE "), "the log is as talkative as it can be");
    assert!(!log.contains('\u{1b}'), "a file gets no colours");
    server.kill();
    for files in [while_it_runs, authority.files()] {
        assert!(files.contains_key("attesto.db") && files.contains_key("attesto.db-wal"));
        secrets.assert_absent_from(&files);
    }
    secrets.assert_absent_from(&Files::from([("the log".to_owned(), log.into_bytes())]));
}

#[test]
fn production_keeps_no_secret_either() {
    let authority = Authority::configured(CONFIGURATION).with("ATTESTO_LOG", "debug");
    authority.set_up();
    let server = authority.start();
    let mut secrets = Secrets::default();
    secrets.add("password", &server.credentials.password);
    use_everything(&authority, &server, &mut secrets);
    server.stop();
    secrets.assert_absent_from(&authority.files());
    secrets.assert_absent_from(&Files::from([("the log".to_owned(), authority.log().into_bytes())]));
}

#[test]
fn everything_is_for_its_owner_only() {
    let authority = Authority::dev();
    let server = authority.start();
    server.sign_in();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(authority.data()), 0o700);
    let files = paths_in(&authority.data());
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
    }
}

/// Without this, the tests above would pass for a search that finds nothing.
#[test]
fn the_search_finds_what_it_looks_for() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pkcs8 = pkcs8.as_ref();
    let inner =
        pkcs8.windows(7).position(|bytes| bytes == [2, 1, 0, 2, 0x82, 1, 1]).expect("an RSAPrivateKey");
    let pkcs1 = &pkcs8[inner - 4..];
    let base64 = |der: &[u8]| attesto_token::base64url_encode(der).replace('-', "+").replace('_', "/");
    let hex =
        |der: &[u8]| der.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect::<Vec<u8>>();
    for (name, der) in [("PKCS #8", pkcs8), ("PKCS #1", pkcs1)] {
        for written in [der.to_vec(), base64(der).into(), hex(der), hex(der).to_ascii_uppercase()] {
            let file = [b"something before ", &written[..], b" and after"].concat();
            let found = private_key_in(&file);
            assert!(found.is_some_and(|form| form.starts_with(name)), "{found:?} is no {name}");
        }
    }
    assert!(private_key_in(b"-----BEGIN RSA PRIVATE KEY-----\n").is_some());
    assert!(private_key_in(br#"{"kty":"RSA","n":"x","e":"AQAB","d":"y"}"#).is_some());
    assert!(private_key_in(br#"{"kty":"RSA","n":"x","e":"AQAB"}"#).is_none());

    let authority = Authority::dev();
    let server = authority.start();
    let mut secrets = Secrets::default();
    secrets.add_pair(&server.sign_in());
    for needle in secrets.0.values() {
        let file = [b"before ", &needle[..], b" after"].concat();
        assert!(contains(&file, needle));
    }
}

/// Everything that somebody does who has a password or a token, rightly and wrongly.
fn use_everything(authority: &Authority, server: &Server, secrets: &mut Secrets) {
    let Credentials { username, password } = server.credentials.clone();
    let signed_in = server.sign_in();
    let renewed = server.refresh(&signed_in.refresh).pair();
    assert_eq!(server.refresh(&signed_in.refresh).pair().refresh, renewed.refresh);
    server.verify(&renewed.refresh).json();
    server.verify(&renewed.access).json();
    assert_eq!(server.refresh(&with_other_signature(&renewed.refresh)).status, 401);
    assert_eq!(server.refresh(&renewed.access).status, 401);
    let over = server.sign_in();
    server.blacklist(&over.refresh).json();
    assert_eq!(server.refresh(&over.refresh).status, 401);
    let replayed = server.sign_in();
    let followed = server.refresh(&server.refresh(&replayed.refresh).pair().refresh).pair();
    assert_eq!(server.refresh(&replayed.refresh).status, 401);
    for pair in [&signed_in, &renewed, &over, &replayed, &followed] {
        secrets.add_pair(pair);
    }

    let wrong = "Wrong-1-password-of-somebody";
    secrets.add("wrong password", wrong);
    let attempts = [(username.as_str(), wrong), (wrong, wrong), (password.as_str(), username.as_str())];
    for (username, password) in attempts {
        let attempt = Credentials { username: username.to_owned(), password: password.to_owned() };
        assert_eq!(server.try_sign_in(&attempt).status, 401);
    }
    let malformed = post("/api/token/", &json!({"username": username, "password": {"is": wrong}}));
    assert_eq!(server.ask(&malformed).status, 400);
    assert_eq!(server.get(&format!("/api/token/?password={wrong}")).status, 405);

    let chosen = "a new one for eve 7";
    secrets.add("chosen password", chosen);
    authority.run_with(&["users", "add", "eve"], &format!("{chosen}\n")).done();
    let changed = "another one for eve 8";
    secrets.add("changed password", changed);
    authority.run_with(&["users", "password", "eve"], &format!("{changed}\n")).done();
    let eve = Credentials { username: "eve".to_owned(), password: changed.to_owned() };
    secrets.add_pair(&server.try_sign_in(&eve).pair());
    authority.run_with(&["explain"], &followed.refresh).done();

    let kek = String::from_utf8(authority.file("kek")).unwrap();
    let kek = kek.trim_end().strip_prefix("attesto-kek-v1:").unwrap();
    secrets.add("key-encryption key", kek);
    secrets.0.insert("key-encryption key in bytes".to_owned(), base64url_decode(kek).unwrap());
}

impl Secrets {
    fn add(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), text.into());
    }

    fn add_pair(&mut self, pair: &Pair) {
        let number = self.0.len();
        for (kind, token) in [("refresh", &pair.refresh), ("access", &pair.access)] {
            let [_, _, signature] = parts(token);
            self.add(&format!("{kind} token {number}"), token);
            self.add(&format!("signature of {kind} token {number}"), signature);
            self.0.insert(format!("signature of {kind} token {number} in bytes"), decoded(signature));
        }
        // The one secret part of a refresh token: whoever had it and a signature could go on with the session.
        let jti = claims(&pair.refresh)["jti"].as_str().unwrap().to_owned();
        let bytes = (0..16).map(|at| u8::from_str_radix(&jti[2 * at..2 * at + 2], 16).unwrap()).collect();
        self.add(&format!("jti of refresh token {number}"), &jti);
        self.0.insert(format!("jti of refresh token {number} in bytes"), bytes);
    }

    /// `dev.json` is there to tell its secrets, and the file of a key to hold that key.
    fn assert_absent_from(&self, files: &Files) {
        for (file, content) in files.iter().filter(|(file, _)| *file != "dev.json") {
            assert_eq!(private_key_in(content), None, "{file} holds a private key");
            for (name, needle) in self.0.iter().filter(|(name, _)| file != "kek" || !name.starts_with("key-"))
            {
                assert!(!contains(content, needle), "{file} holds the {name}");
            }
        }
    }
}

/// The form of an RSA private key that lies there in clear.
fn private_key_in(content: &[u8]) -> Option<&'static str> {
    // PKCS #8: version 0, then `rsaEncryption`. PKCS #1: version 0, then a modulus of 2048 bits.
    let pkcs8 = [2, 1, 0, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let pkcs1 = [2, 1, 0, 2, 0x82, 1, 1, 0];
    let forms: [(&'static str, &[u8]); 9] = [
        ("PKCS #8", &pkcs8),
        ("PKCS #8 in base64", b"IBADANBgkqhkiG9w0BAQEFAASC"),
        ("PKCS #8 in hex", b"020100300d06092a864886f70d010101"),
        ("PKCS #8 in hex", b"020100300D06092A864886F70D010101"),
        ("PKCS #1", &pkcs1),
        ("PKCS #1 in base64", b"IBAAKCAQEA"),
        ("PKCS #1 in hex", b"0201000282010100"),
        ("PEM", b"PRIVATE KEY--"),
        ("JWK", b"\"d\":"),
    ];
    forms.into_iter().find(|(_, bytes)| contains(content, bytes)).map(|(form, _)| form)
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}
