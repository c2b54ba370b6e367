//! `doctor` on an authority that is well, and on one where something is not.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::authority::{Authority, CONFIGURATION};
use crate::process::{Process, run, until};

/// An authority whose issuer is where its server listens.
fn authority() -> Authority {
    // Free a moment ago, and nobody else asks for it by number.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let configuration = CONFIGURATION.replace("127.0.0.1:9", &address.to_string());
    let authority = Authority::configured(&format!("{configuration}listen = \"{address}\"\n"));
    authority.set_up();
    fs::set_permissions(authority.data(), Permissions::from_mode(0o700)).unwrap();
    authority
}

/// Starts its server where the configuration says, and waits until it has sealed the audit.
fn serve(authority: &Authority) -> Process {
    let (process, said, address) = Process::serve(authority.command(&["serve"]).stderr(Stdio::null()));
    assert!(address.is_some(), "{said:?}");
    until("the audit is sealed", || (authority.run(&["audit", "verify"]).any().0 == Some(0)).then_some(()));
    process
}

/// What is found, and whether the exit code fits.
#[track_caller]
fn findings(authority: &Authority, options: &[&str]) -> Vec<Value> {
    let (code, said, _) = authority.run(&[&["doctor", "--json"], options].concat()).any();
    let said: Value = serde_json::from_str(&said).unwrap();
    let findings = said["findings"].as_array().unwrap().clone();
    let is_healthy = findings.iter().all(|finding| finding["verdict"] != "wrong");
    assert_eq!((code, said["healthy"].as_bool()), (Some(i32::from(!is_healthy)), Some(is_healthy)));
    findings
}

#[track_caller]
fn assert_found(authority: &Authority, check: &str, verdict: &str, words: &str) {
    let findings = findings(authority, &[]);
    let is_it = |finding: &&Value| {
        let text = format!("{} | {}", finding["says"], finding["remedy"]);
        finding["check"] == check && finding["verdict"] == verdict && text.contains(words)
    };
    assert!(findings.iter().any(|finding| is_it(&finding)), "{check} {verdict} {words}: {findings:#?}");
}

fn mode(authority: &Authority, file: &str, mode: u32) {
    fs::set_permissions(authority.data().join(file), Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_authority_that_is_well() {
    let authority = authority();
    let server = serve(&authority);
    let all = findings(&authority, &[]);
    let not_ok: Vec<_> = all.iter().filter(|finding| finding["verdict"] != "ok").collect();
    assert!(not_ok.is_empty() && all.len() > 15, "{not_ok:#?}");
    for check in ["published keys", "metadata", "issuer's clock", "servers", "feed", "audit", "disk space"] {
        assert!(all.iter().any(|finding| finding["check"] == check), "{check}");
    }
    let said = authority.run(&["doctor"]).done();
    assert!(said.contains("published keys") && !said.contains('\u{1b}'), "{said}");

    authority.settle();
    drop(server);
    let before = authority.files();
    // Its row says for half a minute that it runs.
    assert_found(&authority, "issuer", "wrong", "a server runs: check its address");
    authority.assert_unchanged_since(&before);
}

#[test]
fn an_authority_without_a_server_is_looked_at_all_the_same() {
    let authority = authority();
    assert_found(&authority, "servers", "warning", "attesto serve");
    assert_found(&authority, "issuer", "warning", "does not answer");
    assert_found(&authority, "audit", "warning", "nothing is sealed yet");
    let offline = findings(&authority, &["--offline"]);
    assert!(offline.iter().all(|finding| finding["check"] != "issuer"), "what was not asked is not well");
}

#[test]
fn files_that_are_open_to_others_or_gone_are_named() {
    let authority = authority();
    for (file, others, owner, check, remedy) in [
        // 640 for a file of root, who may lend it to a group.
        ("kek", 0o644, 0o600, "key-encryption key", "chmod 6"),
        ("attesto.db", 0o640, 0o600, "database files", "chmod 600 "),
        ("attesto.toml", 0o666, 0o600, "configuration file", "chmod go-w "),
        (".", 0o777, 0o700, "database folder", "chmod go-w "),
    ] {
        mode(&authority, file, others);
        assert_found(&authority, check, "wrong", remedy);
        mode(&authority, file, owner);
    }
    let (here, away) = (authority.data().join("kek"), authority.data().join("away"));
    fs::rename(&here, &away).unwrap();
    assert_found(&authority, "key-encryption key", "wrong", "put it back from its copy");
    assert_found(&authority, "keys", "wrong", "no server starts");
    fs::rename(&away, &here).unwrap();
    fs::remove_file(authority.data().join("attesto.db")).unwrap();
    assert_found(&authority, "database", "wrong", "attesto init");
}

#[test]
fn before_anything_is_set_up_it_says_how_to() {
    let authority = Authority::configured(CONFIGURATION);
    assert_found(&authority, "key-encryption key", "wrong", "attesto init, which makes it");
    assert_found(&authority, "database", "wrong", "attesto init");
}

#[test]
fn what_does_not_fit_the_database_is_named() {
    let authority = authority();
    let configuration = String::from_utf8(authority.file("attesto.toml")).unwrap();
    authority.configure(&format!("{configuration}isuer = \"x\"\n"));
    assert_found(&authority, "configuration", "wrong", "isuer: is not a setting");
    authority.configure(&configuration.replace("http://127", "https://127"));
    assert_found(&authority, "keys", "wrong", "it cannot be changed");
    assert_found(&authority, "proxies", "warning", "trusted_proxies");
    authority.configure(&configuration.replace("listen = \"127.0.0.1", "listen = \"0.0.0.0"));
    assert_found(&authority, "proxies", "warning", "without TLS");
    authority.configure(&format!("{configuration}access_token_algorithm = \"ES256\"\n"));
    assert_found(&authority, "algorithms", "wrong", "attesto keys stage --algorithm ES256");
    authority.configure(&configuration);

    authority.settle();
    let whole = authority.file("attesto.db");
    let down = include_str!("../../../../migrations/sqlite/0004_audit_chain/down.sql");
    let older = format!("{down}; DELETE FROM __diesel_schema_migrations WHERE version = '0004';");
    for (statements, check, words) in [
        ("DELETE FROM keys WHERE state = 'staged'", "keys", "was taken away"),
        ("UPDATE keys SET state = 'active' WHERE state = 'staged' AND purpose = 'feed'", "keys", ""),
        (older.as_str(), "database", "attesto migrate"),
        ("UPDATE schema_requirement SET minimum_binary = '99.0.0'", "database", "install that version"),
    ] {
        fs::write(authority.data().join("attesto.db"), &whole).unwrap();
        authority.sqlite(&format!("DROP INDEX one_active_key; {statements}"));
        authority.settle();
        assert_found(&authority, check, "wrong", words);
    }
}

#[test]
fn another_authority_at_the_issuer_is_named() {
    let authority = authority();
    let other = Authority::configured(&String::from_utf8(authority.file("attesto.toml")).unwrap());
    other.set_up();
    let server = serve(&other);
    assert_found(&authority, "published keys", "wrong", "none of its");
    drop(server);

    let other = Authority::configured(&String::from_utf8(authority.file("attesto.toml")).unwrap().replacen(
        "issuer = \"http://127.0.0.1",
        "issuer = \"http://localhost",
        1,
    ));
    other.set_up();
    let _server = serve(&other);
    assert_found(&authority, "metadata", "wrong", "another authority answers there");
}

#[test]
fn a_head_of_the_audit_that_is_not_believed_is_named() {
    let authority = authority();
    drop(serve(&authority));
    authority.sqlite("UPDATE audit_head SET seq = seq - 1");
    assert_found(&authority, "audit", "wrong", "the head of the audit was altered");
}

/// A server whose own TLS does not work does not start.
#[test]
fn certificate_and_key_of_the_server_are_opened() {
    let authority = authority();
    let configuration = String::from_utf8(authority.file("attesto.toml")).unwrap();
    let tls = "tls_certificate = \"tls.crt\"\ntls_key = \"tls.key\"\n";
    authority
        .configure(&format!("{}{tls}", configuration.replace("listen = \"127.0.0.1", "listen = \"0.0.0.0")));
    assert_found(&authority, "TLS", "wrong", "cannot be read");
    certificate(&authority, "tls", "100");
    assert_found(&authority, "TLS", "ok", "is good until");
    assert_found(&authority, "proxies", "ok", "the server speaks TLS itself");
    mode(&authority, "tls.key", 0o644);
    assert_found(&authority, "TLS", "wrong", "chmod 6");
    mode(&authority, "tls.key", 0o600);
    authority.run(&["doctor", "--offline"]).done();
    certificate(&authority, "other", "100");
    fs::rename(authority.data().join("other.key"), authority.data().join("tls.key")).unwrap();
    assert_found(&authority, "TLS", "wrong", "is not the key of the first certificate");
    certificate(&authority, "tls", "13");
    assert_found(&authority, "TLS", "warning", "expires at");
}

fn certificate(authority: &Authority, name: &str, days: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-days", days]);
    openssl.args(["-keyout", &key, "-out", &certificate]);
    assert_eq!(run(openssl.current_dir(authority.data()), "").any().0, Some(0));
}
