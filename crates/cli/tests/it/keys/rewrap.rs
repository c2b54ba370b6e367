//! Changing the key-encryption key while the authority works.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use attesto_keyring::{KeyEncryptionKey, random_id};
use serde_json::json;

use super::{audited, kid_in, kid_of, list, list_all, quick, start, text};
use crate::authority::{Authority, CONFIGURATION};
use crate::crash::random_share;
use crate::process::Process;
use crate::server::{Server, refresh_request};

/// Both key-encryption keys in the other order, or one of them.
fn with_keks(authority: Authority, files: &str) -> Authority {
    authority.with("ATTESTO_KEY_ENCRYPTION_KEYS", files)
}

#[test]
fn every_server_has_to_know_the_new_one_first() {
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let server = start(&authority);
    let new = new_kek(&authority);
    let authority = with_keks(authority, "new,kek");
    let before = list(&authority);
    let (code, said, progress) = authority.run(&["keys", "rewrap", "--timeout", "1s"]).any();
    assert_eq!((code, said.as_str()), (Some(75), ""), "{progress}");
    let expected =
        format!("without key-encryption key {new} after 1s; put its file first in their key_encryption_keys");
    assert!(progress.starts_with("waiting: server ") && progress.contains(&expected), "{progress}");
    assert_eq!(list(&authority), before);
    server.stop();
}

#[test]
fn the_old_one_is_needed_no_more() {
    let authority = quick(Authority::configured(CONFIGURATION)).with("SUDO_USER", "grace");
    authority.set_up();
    let new = new_kek(&authority);
    let authority = with_keks(authority, "new,kek");
    let server = start(&authority);
    let pair = server.sign_in();

    let is_over = AtomicBool::new(false);
    let refreshed = AtomicUsize::new(0);
    let (code, said, progress) = scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| refresh_until(&server, &is_over, &refreshed));
        }
        sleep(Duration::from_millis(300));
        let outcome = authority.run(&["keys", "rewrap", "--reason", "yearly"]).any();
        sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!((code, progress.as_str()), (Some(0), "1 of 5\n2 of 5\n3 of 5\n4 of 5\n5 of 5\n"));
    assert!(
        said.starts_with(&format!("All 4 keys are under key-encryption key {new}.\nProved: they open with ")),
        "{said}"
    );
    assert!(said.ends_with("\n1 running server has it.\n"), "{said}");
    assert!(refreshed.load(Ordering::Relaxed) > 20, "there was load");
    assert!(list_all(&authority).iter().all(|key| key["kek_id"] == new));
    let row =
        |kid: Option<&str>| ("key_rewrapped".to_owned(), "operator:grace".to_owned(), kid.map(str::to_owned));
    let kids: BTreeSet<_> = list_all(&authority).iter().map(|key| text(&key["kid"])).collect();
    let rows = audited(&authority, "yearly");
    assert_eq!((rows.len(), &rows[0]), (5, &row(None)), "first the ledger");
    let of_keys: BTreeSet<_> = rows.into_iter().skip(1).collect();
    assert_eq!(of_keys, kids.iter().map(|kid| row(Some(kid))).collect());

    let again = authority.run(&["keys", "rewrap"]).done();
    assert!(again.contains("Nothing had to be changed."), "{again}");
    server.stop();
    fs::remove_file(authority.data().join("kek")).unwrap();
    let authority = with_keks(authority, "new");
    let server = start(&authority);
    server.refresh(&pair.refresh).pair();
    assert_eq!(kid_in(&server.sign_in().access), kid_of(&authority, "active"));
    let done = authority.json(&["keys", "rewrap"]);
    assert_eq!((&done["done"], &done["steps"], &done["kek_id"]), (&json!(true), &json!(0), &json!(new)));
}

/// Somebody who is signed in, and must not notice.
fn refresh_until(server: &Server, is_over: &AtomicBool, refreshed: &AtomicUsize) {
    let mut pair = server.sign_in();
    let mut connection = server.connect();
    while !is_over.load(Ordering::Relaxed) {
        pair = connection.ask(&refresh_request(&pair.refresh)).unwrap().pair();
        refreshed.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_interrupted_one_goes_on() {
    const KILLS: usize = 10;
    let authority = quick(Authority::configured(CONFIGURATION));
    authority.set_up();
    let (old, new) =
        (KeyEncryptionKey::read(&authority.data().join("kek")).unwrap().id().0, new_kek(&authority));
    // More rows, so that it takes longer.
    for _ in 0..10 {
        authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    }
    let mut authority = with_keks(authority, "new,kek");
    let server = start(&authority);
    authority.run(&["keys", "rewrap", "--json"]).any();

    let mut in_the_middle = 0;
    for round in 0..KILLS {
        // There and back again: there is always something to do.
        let (files, first) = if round % 2 == 0 { ("kek,new", &old) } else { ("new,kek", &new) };
        authority = with_keks(authority, files);
        let under_first = || list_all(&authority).iter().filter(|key| key["kek_id"] == **first).count();
        kill_in_the_middle(&authority);

        let done = under_first();
        in_the_middle += usize::from(0 < done && done < 14);
        assert_eq!(kid_in(&server.sign_in().access), kid_of(&authority, "active"), "the server works");
        let (code, said, progress) = authority.run(&["keys", "rewrap"]).any();
        assert_eq!(code, Some(0), "{progress}");
        assert!(said.contains(&format!("All 14 keys are under key-encryption key {first}.")), "{said}");
        assert_eq!(under_first(), 14);
        let left = progress.lines().count();
        assert!(
            left >= 14 - done && left <= 15 - done,
            "it went on where it was: {done} done, then {progress}"
        );
    }
    assert!(in_the_middle > 0, "the kills came too early or too late");
}

/// Lets it take some of its 15 steps, and a part of one more.
fn kill_in_the_middle(authority: &Authority) {
    let mut command = authority.command(&["keys", "rewrap"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let mut progress = BufReader::new(process.0.stderr.take().expect("standard error is a pipe")).lines();
    let steps = usize::from_str_radix(&random_id()[..4], 16).expect("hex digits") % 15;
    progress.by_ref().take(steps).for_each(|line| drop(line.unwrap()));
    sleep(Duration::from_millis(20).mul_f64(random_share()));
    process.kill();
}

/// Makes `data/new`, and gives its name.
fn new_kek(authority: &Authority) -> String {
    let path = authority.data().join("new");
    let done = authority.json(&["keys", "new-kek", path.to_str().unwrap()]);
    done["kek_id"].as_str().unwrap().to_owned()
}
