//! `init`: an authority that `serve --config` runs, made once or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use attesto_keyring::KeyEncryptionKey;
use attesto_server::block_on;
use attesto_store::{DatabaseUrl, Store};
use serde_json::json;

use crate::authority::{Authority, CONFIGURATION, paths_in};
use crate::crash::random_share;
use crate::process::Process;
use crate::server::Credentials;
use crate::token::claims;

#[test]
fn an_authority_is_set_up_once() {
    let authority = Authority::configured(CONFIGURATION);
    let said = authority.run_with(&["init"], &Credentials::first_user().lines()).done();
    assert!(said.contains("is set up for http://127.0.0.1:9, with the user ada"), "{said}");
    assert!(said.contains("/kek: without it the signing keys never open again"), "{said}");
    for file in ["kek", "attesto.db"] {
        let mode = fs::metadata(authority.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    authority.settle();
    let before = authority.files();
    let said = authority.run_with(&["init"], "eve\nanother good password\n").done();
    assert!(said.contains("is set up already, for http://127.0.0.1:9; nothing was changed"), "{said}");
    assert_eq!(authority.json(&["init"]), json!({"issuer": "http://127.0.0.1:9", "created": false}));
    authority.assert_unchanged_since(&before);

    let server = authority.start();
    let access = claims(&server.sign_in().access);
    assert_eq!((&access["iss"], &access["aud"]), (&"http://127.0.0.1:9".into(), &"orders".into()));
    assert_eq!(usernames(&authority), ["ada"]);
}

#[test]
fn whatever_an_interrupted_init_leaves_is_no_obstacle() {
    type Leave = fn(&Authority);
    let a_key: Leave = |authority| drop(KeyEncryptionKey::create(&authority.data().join("kek")).unwrap());
    let an_empty_file: Leave = |authority| fs::write(authority.data().join("attesto.db"), "").unwrap();
    let an_empty_database: Leave = |authority| {
        let url = DatabaseUrl::parse("sqlite:attesto.db", &authority.data()).unwrap();
        drop(block_on(Store::create(&url)).unwrap());
    };
    // What the library of migrations writes before the first of ours.
    let no_tables_of_ours: Leave = |authority| {
        authority.sqlite(
            "PRAGMA journal_mode = WAL; CREATE TABLE __diesel_schema_migrations \
             (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
        );
    };
    let the_first_of_two_migrations: Leave = |authority| {
        let first = include_str!("../../../../migrations/sqlite/0001_foundation/up.sql");
        authority.sqlite(&format!(
            "PRAGMA journal_mode = WAL; CREATE TABLE __diesel_schema_migrations \
             (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
             {first}; INSERT INTO __diesel_schema_migrations (version) VALUES ('0001')"
        ));
    };
    for left in [
        &[][..],
        &[a_key],
        &[an_empty_file],
        &[a_key, an_empty_file],
        &[a_key, no_tables_of_ours],
        &[a_key, an_empty_database],
        &[a_key, the_first_of_two_migrations],
    ] {
        let authority = Authority::configured(CONFIGURATION);
        for leave in left {
            leave(&authority);
        }
        authority.set_up();
        authority.start().sign_in();
    }
}

#[test]
fn an_init_that_is_killed_is_repeated() {
    let begun_at = Instant::now();
    Authority::configured(CONFIGURATION).set_up();
    let usual = begun_at.elapsed();
    for _ in 0..12 {
        let authority = Authority::configured(CONFIGURATION);
        let mut init = authority.command(&["init"]);
        let mut init = Process(init.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
        init.write(&Credentials::first_user().lines());
        sleep(usual.mul_f64(random_share()));
        init.kill();
        authority.set_up();
        assert_eq!(usernames(&authority), ["ada"]);
        assert_eq!(authority.json(&["keys", "list"]).as_array().unwrap().len(), 4);
        authority.start().sign_in();
    }
}

#[test]
fn a_first_start_that_is_killed_is_repeated() {
    let begun_at = Instant::now();
    drop(Authority::dev().start());
    let usual = begun_at.elapsed();
    for _ in 0..12 {
        let authority = Authority::dev();
        let mut start = authority.command(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
        let mut start = Process(start.stdout(Stdio::null()).spawn().unwrap());
        sleep(usual.mul_f64(random_share()));
        start.kill();
        authority.start().sign_in();
        assert_eq!(usernames(&authority), ["dev"]);
    }
}

#[test]
fn files_that_were_never_finished_are_made_anew() {
    let authority = Authority::dev();
    fs::create_dir(authority.data()).unwrap();
    for draft in ["dev.draft", "attesto.draft"] {
        fs::write(authority.data().join(draft), "{\"issuer\": ").unwrap();
    }
    authority.start().sign_in();
    assert!(authority.files().keys().all(|name| !name.contains("draft")));
}

/// A first start makes keys and a name for the database; over what is there already, it would make it unusable.
#[test]
fn a_database_that_lost_its_first_row_is_not_set_up_anew() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    authority.sqlite(
        "PRAGMA foreign_keys = OFF; DELETE FROM authority; DELETE FROM key_ledger; DELETE FROM keys;",
    );
    authority.settle();
    let before = authority.files();
    for arguments in [&["init"][..], &["serve"]] {
        let line = authority.run_with(arguments, &Credentials::first_user().lines()).refused(1);
        assert!(line.contains("was taken away") || line.contains("was not set up yet"), "{line}");
        authority.settle();
        authority.assert_unchanged_since(&before);
    }
}

#[test]
fn a_password_that_is_refused_leaves_nothing() {
    let authority = Authority::configured(CONFIGURATION);
    let refused = |input: &str| authority.run_with(&["init"], input).refused(1);
    let table = [
        ("ada\npassword\n", "this password is too common"),
        ("ada\nada-ada-\n", "this password is too common"),
        ("ada\nshort7!\n", "a password has 8 to 1,024 bytes"),
        ("ada\n correct horse battery\n", "a password must not begin or end with white space"),
        ("ada\ncorrect horse battery \n", "a password must not begin or end with white space"),
        ("ada\n", "standard input ended where the password was expected"),
        ("", "standard input ended where the first user's name was expected"),
        ("\ncorrect horse battery\n", "a user name has 1 to 150 characters"),
        (" ada\ncorrect horse battery\n", "a user name must not begin or end with white space"),
    ];
    for (input, expected) in table {
        let line = refused(input);
        assert!(line.starts_with(expected), "{line}");
        assert!(!line.contains("horse"), "{line}");
        assert_eq!(paths_in(&authority.data()).len(), 1, "the configuration file, and nothing else");
    }
    authority.set_up();
    authority.start().sign_in();
}

fn usernames(authority: &Authority) -> Vec<String> {
    let users = authority.json(&["users", "list"]);
    users.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}
