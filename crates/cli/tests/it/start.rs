//! `serve`: the first start, the second, and every start that has to be refused.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use attesto_keyring::KeyEncryptionKey;
use serde_json::Value;

use crate::authority::{Authority, CONFIGURATION};
use crate::process::{after, run};
use crate::server::Server;
use crate::token::claims;

#[test]
fn a_first_start_makes_all_that_scripts_need() {
    let authority = Authority::dev();
    let server = authority.start();
    let file = authority.dev_file();
    let members: BTreeSet<&str> = file.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "issuer audience username password client_id client_secret public_client_id redirect_uri";
    assert_eq!(members, expected.split(' ').collect());
    assert_eq!(file["issuer"], format!("http://{}", server.address));

    let pair = server.sign_in();
    let access = claims(&pair.access);
    assert_eq!((&access["iss"], &access["aud"]), (&file["issuer"], &file["audience"]));
    let clients = authority.json(&["clients", "list"]);
    let kind = |id: &Value| {
        let client = clients.as_array().unwrap().iter().find(|client| client["client_id"] == *id);
        client.expect("a client of dev.json")["kind"].clone()
    };
    assert_eq!(
        (kind(&file["client_id"]), kind(&file["public_client_id"])),
        ("confidential".into(), "public".into())
    );
}

/// Each who waits for news is an open file, and shells allow few.
#[test]
fn a_server_takes_as_many_files_as_it_may_have() {
    let authority = Authority::dev();
    let server = authority.try_start_as(|command| after("ulimit -S -n 200", &command)).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process.0.id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = [0, 1].map(|at| line.split_whitespace().nth(at).unwrap());
    assert_eq!(soft, hard);
}

#[test]
fn the_printed_lines_work_when_pasted() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|curl| curl.status.success()), "curl is missing: apt-get install curl");
    let authority = Authority::dev();
    let server = authority.start();
    let lines: Vec<_> = server.said.iter().filter(|line| line.trim_start().starts_with("curl ")).collect();
    assert_eq!(lines.len(), 2, "{:?}", server.said);
    for (line, generation) in lines.into_iter().zip([1, 2]) {
        let answer: Value =
            serde_json::from_str(&run(Command::new("sh").args(["-c", line]), "").done()).unwrap();
        assert_eq!(claims(answer["refresh"].as_str().unwrap())["gen"], generation, "{line}");
        assert_eq!(server.verify(answer["access"].as_str().unwrap()).status, 200);
    }
}

#[test]
fn with_a_certificate_it_speaks_tls() {
    let tls = "tls_certificate = \"tls.crt\"\ntls_key = \"tls.key\"\n";
    let authority = Authority::configured(&format!("{CONFIGURATION}{tls}"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key", "-out", "tls.crt"]);
    assert_eq!(run(openssl.current_dir(authority.data()), "").any().0, Some(0));
    authority.set_up();
    let server = authority.start();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--cacert",
        "tls.crt",
        &format!("https://{}/livez", server.address),
    ]);
    assert_eq!(run(curl.current_dir(authority.data()), "").done(), "ok\n");
    server.stop();

    fs::set_permissions(authority.data().join("tls.key"), Permissions::from_mode(0o644)).unwrap();
    let line = authority.run(&["serve"]).refused(78);
    assert!(
        line.starts_with("tls_key: ") && line.contains("tls.key: is open to other users (mode 0644)"),
        "{line}"
    );
}

#[test]
fn a_second_start_changes_nothing() {
    let authority = Authority::dev();
    let server = authority.start();
    let issuer = format!("http://{}", server.address);
    assert!(!server.said.iter().any(|line| line.contains("stays as it was")));
    let pair = server.sign_in();
    let before = (authority.file("dev.json"), authority.file("attesto.toml"), authority.file("kek"));
    // What it signed last, it counts at its end.
    server.stop();
    let listed = lists(&authority);

    let server = authority.start();
    assert_eq!((authority.file("dev.json"), authority.file("attesto.toml"), authority.file("kek")), before);
    assert_eq!(lists(&authority), listed);
    assert_ne!(issuer, format!("http://{}", server.address), "a free port is another one");
    let says_so =
        format!("(stays as it was at the first start; this time it listens on http://{})", server.address);
    assert!(server.said.iter().any(|line| line.trim() == says_so), "{:?}", server.said);
    assert_eq!(claims(&server.refresh(&pair.refresh).pair().access)["iss"], issuer);
    assert_eq!(claims(&server.sign_in().access)["iss"], issuer);
}

/// All that an operator sees, and that a start could have changed.
fn lists(authority: &Authority) -> Vec<Value> {
    let lists =
        [["keys", "list"], ["users", "list"], ["clients", "list"], ["sessions", "list"], ["audit", "list"]];
    lists.map(|list| authority.json(&list)).into()
}

#[test]
fn a_second_server_is_refused_and_the_first_one_serves_on() {
    let authority = Authority::dev();
    let server = authority.start();
    let pair = server.sign_in();
    let line = refused_start(&authority, 1);
    assert!(line.contains("another server is using this database"), "{line}");
    server.refresh(&pair.refresh).pair();
    server.sign_in();
}

#[test]
fn without_its_key_encryption_key_nothing_starts() {
    let authority = started_once(Authority::dev());
    let path = authority.data().join("kek");
    let right = fs::read(&path).unwrap();

    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let line = refused_start(&authority, 78);
    assert!(line.starts_with("key_encryption_keys: ") && line.contains("mode 0644"), "{line}");

    fs::remove_file(&path).unwrap();
    let line = refused_start(&authority, 78);
    assert!(
        line.starts_with("key_encryption_keys: ") && line.contains("/kek: no key-encryption key"),
        "{line}"
    );

    KeyEncryptionKey::create(&path).unwrap();
    let line = refused_start(&authority, 78);
    assert!(line.starts_with("key_encryption_keys: ") && line.contains("not configured"), "{line}");

    fs::write(&path, &right[..right.len() / 2]).unwrap();
    let line = refused_start(&authority, 78);
    assert!(line.starts_with("key_encryption_keys: ") && line.contains("/kek: not a key"), "{line}");

    fs::write(&path, right).unwrap();
    authority.start().sign_in();
}

#[test]
fn the_issuer_is_remembered() {
    let authority = started_once(Authority::dev()).with("ATTESTO_ISSUER", "https://auth.example.com");
    let line = refused_start(&authority, 78);
    assert!(line.starts_with("issuer: is https://auth.example.com, and the tokens"), "{line}");
}

#[test]
fn a_database_from_the_future_is_left_alone() {
    let authority = started_once(Authority::dev());
    authority.sqlite("UPDATE schema_requirement SET minimum_binary = '99.1.0'");
    let line = refused_start(&authority, 1);
    assert!(line.contains("needs Attesto 99.1.0 or newer"), "{line}");
    assert_eq!(authority.run(&["users", "list"]).refused(1), line);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let authority = started_once(Authority::dev());
    let path = authority.data().join("attesto.db");
    for content in [
        &b"no database at all, though it is long enough to hold a header of one hundred bytes. ".repeat(9)[..],
        b"?",
    ] {
        fs::write(&path, content).unwrap();
        let line = refused_start(&authority, 1);
        assert!(line.ends_with("attesto.db is not a database of Attesto"), "{line}");
    }
    fs::remove_file(&path).unwrap();
    authority.sqlite("CREATE TABLE recipes (cake TEXT); INSERT INTO recipes VALUES ('lemon')");
    let line = refused_start(&authority, 1);
    assert!(line.ends_with("attesto.db is not a database of Attesto"), "{line}");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_one_line() {
    let authority = Authority::dev();
    fs::write(authority.data(), "a regular file").unwrap();
    let Err(outcome) = authority.try_start() else { panic!("it starts in a file") };
    let line = outcome.refused(1);
    assert!(line.contains("/data: ") && line.contains("choose another folder with --data"), "{line}");
    assert_eq!(fs::read(authority.data()).unwrap(), b"a regular file");
}

#[test]
fn a_wrong_setting_is_named_in_one_line() {
    let authority = started_once(Authority::configured(CONFIGURATION));
    let without = |name: &str| {
        let lines: Vec<_> = CONFIGURATION.lines().filter(|line| !line.starts_with(name)).collect();
        lines.join("\n")
    };
    let with = |line: &str| format!("{CONFIGURATION}{line}\n");
    let table: [(String, &str); 8] = [
        (without("issuer"), "issuer: is missing (or ATTESTO_ISSUER)"),
        (without("database"), "database: is missing (or ATTESTO_DATABASE)"),
        (without("key_encryption_keys"), "key_encryption_keys: is missing"),
        (without("simplejwt_audience"), "simplejwt_audience: is missing"),
        (with("isuer = \"https://auth.example.com\""), "isuer: is not a setting"),
        (with("grace_interval = \"3m\""), "grace_interval: lies between"),
        (with("listen = 8080"), "listen: "),
        (with("issuer"), "line 6: "),
    ];
    for (configuration, expected) in table {
        authority.configure(&configuration);
        let line = refused_start(&authority, 78);
        assert!(line.contains(&format!("attesto.toml: {expected}")), "{line}");
        assert_eq!(authority.run(&["users", "list"]).refused(78), line, "commands say the same");
    }
    authority.configure(CONFIGURATION);
    let authority = authority.with("ATTESTO_LISTEM", "127.0.0.1:0");
    let line = refused_start(&authority, 78);
    assert!(line.starts_with("ATTESTO_LISTEM: is not a setting"), "{line}");
}

#[test]
fn variables_alone_are_a_configuration() {
    let authority = started_once(Authority::of_variables([
        ("ATTESTO_ISSUER", "http://127.0.0.1:9"),
        ("ATTESTO_DATABASE", "sqlite:data/attesto.db"),
        ("ATTESTO_KEY_ENCRYPTION_KEYS", "data/kek"),
        ("ATTESTO_SIMPLEJWT_AUDIENCE", "billing"),
    ]));
    let server = authority.start();
    assert_eq!(claims(&server.sign_in().access)["aud"], "billing");
    assert_eq!(authority.json(&["users", "list"])[0]["username"], server.credentials.username);
    drop(server);

    let line = refused_start(&authority.with("ATTESTO_DATABASE", ""), 78);
    assert!(line.starts_with("ATTESTO_DATABASE: "), "{line}");
}

/// The same authority after a start and a proper end: nothing is left to do.
fn started_once(authority: Authority) -> Authority {
    authority.set_up();
    let server = authority.start();
    server.sign_in();
    server.stop();
    authority.settle();
    authority
}

/// Tries to start a server, which has to say in one line why it does not, and to leave every byte as it is.
#[track_caller]
fn refused_start(authority: &Authority, code: i32) -> String {
    let before = authority.files();
    let line = match authority.try_start() {
        Ok(Server { said, .. }) => panic!("it starts: {said:?}"),
        Err(outcome) => outcome.refused(code),
    };
    authority.assert_unchanged_since(&before);
    line
}

#[test]
fn a_lost_dev_file_is_said_and_not_made_up() {
    let authority = Authority::dev();
    drop(authority.start());
    fs::remove_file(authority.data().join("dev.json")).unwrap();
    let line = authority.try_start().err().unwrap().refused(1);
    assert!(line.contains("dev.json: the file is gone"), "{line}");
    assert!(!authority.data().join("dev.json").exists());
}
