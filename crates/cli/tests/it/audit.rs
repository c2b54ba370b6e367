//! The audit as a chain: what `verify` names, and what others can check of an `export`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::authority::{Authority, CONFIGURATION};
use crate::process::{run, until};

const PAGE: &str = "../../docs/operations/audit.md";

/// The exit code for an audit that is broken.
const BROKEN: i32 = 65;

/// An authority whose server has run, and has sealed everything.
fn sealed() -> Authority {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    serve_once(&authority);
    authority
}

fn serve_once(authority: &Authority) {
    let server = authority.start();
    for _ in 0..3 {
        server.sign_in();
    }
    server.stop();
}

fn lines(export: &str) -> Vec<Value> {
    export.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_nobody_touched_is_whole() {
    let authority = sealed();
    let events = authority.json(&["audit", "list", "--limit", "1000"]);
    let events = events.as_array().unwrap();
    let whole = authority.json(&["audit", "verify"]);
    let expected = [
        ("intact", json!(true)),
        ("rows", json!(events.len())),
        ("first_seq", json!(1)),
        ("last_seq", json!(events.len())),
        ("from", events.last().unwrap()["at"].clone()),
        ("to", events[0]["at"].clone()),
        ("unsealed", json!(0)),
        ("unsealed_since", Value::Null),
    ];
    for (member, value) in expected {
        assert_eq!(whole[member], value, "{member}");
    }
    let said = authority.run(&["audit", "verify"]).done();
    assert!(said.starts_with(&format!("The audit is whole: {} rows, 1 to ", events.len())), "{said}");
    assert!(said.contains("Every row is sealed."), "{said}");

    // A command beside the server leaves a row for it.
    authority.run(&["sessions", "revoke", "--all", "--yes"]).done();
    let waiting = authority.json(&["audit", "verify"]);
    assert_eq!((&waiting["unsealed"], &waiting["rows"]), (&json!(1), &whole["rows"]));
    assert!(waiting["unsealed_since"].is_string());
    assert!(authority.run(&["audit", "verify"]).done().contains("1 rows are not sealed yet"));
}

#[test]
fn what_is_wrong_is_named() {
    let authority = sealed();
    authority.sqlite("CREATE TABLE old_head AS SELECT * FROM audit_head");
    serve_once(&authority);
    authority.settle();
    let rows = authority.json(&["audit", "verify"])["rows"].as_i64().unwrap();
    let whole = authority.file("attesto.db");
    let place =
        |from: i64, to: i64| format!("UPDATE audit_events SET chain_seq = {to} WHERE chain_seq = {from};");
    let last = rows - 1;
    let table = [
        (
            "UPDATE audit_events SET actor = 'nobody' WHERE chain_seq = 3".to_owned(),
            Some(3),
            "row 3 was altered",
        ),
        ("UPDATE audit_events SET at = at + 1 WHERE chain_seq > 4".to_owned(), Some(5), "row 5 was altered"),
        (
            "UPDATE audit_events SET chain_hash = NULL WHERE chain_seq = 2".to_owned(),
            Some(2),
            "row 2 was altered",
        ),
        ("DELETE FROM audit_events WHERE chain_seq = 3".to_owned(), Some(3), "row 3 is missing"),
        ("DELETE FROM audit_events WHERE chain_seq < 3".to_owned(), Some(1), "rows 1 to 2 are missing"),
        (
            format!("DELETE FROM audit_events WHERE chain_seq > {last}"),
            Some(rows),
            &format!("row {rows} is missing"),
        ),
        ([place(3, -1), place(5, 3), place(-1, 5)].concat(), Some(-1), ""),
        ("UPDATE audit_head SET sealed_at = 0".to_owned(), None, "the head of the audit was altered"),
        (
            "DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM old_head".to_owned(),
            Some(-2),
            "the head of the audit was set back: it ends the chain at row ",
        ),
        ("DELETE FROM audit_head".to_owned(), None, "rows of the audit are sealed up to "),
        ("UPDATE audit_head SET hash = x'00'".to_owned(), None, "the head of the audit was altered"),
        (added(0), Some(0), "row 0 is out of place"),
        (added(4), Some(4), "row 4 is out of place"),
        (added(rows), Some(rows), &format!("row {rows} is out of place")),
        (added(rows + 1), Some(rows), "the head of the audit was set back"),
        (added(i64::MIN), None, "1 row too many has a place in the chain"),
        (
            "DELETE FROM audit_head; UPDATE audit_events SET chain_seq = NULL, chain_hash = NULL".to_owned(),
            None,
            "there is no chain",
        ),
    ];
    for (statements, seq, problem) in table {
        let (seq, problem) = match seq {
            Some(-1) => (Some(3), "row 3 is out of place: what stands there belongs to place 5"),
            other => (other, problem),
        };
        fs::write(authority.data().join("attesto.db"), &whole).unwrap();
        authority.sqlite(&statements);
        authority.settle();
        let line = authority.run(&["audit", "verify"]).refused(BROKEN);
        assert!(line.starts_with(&format!("the audit is broken: {problem}")), "{statements}: {line}");
        let (code, said, _) = authority.run(&["audit", "verify", "--json"]).any();
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &said["intact"]), (Some(BROKEN), &json!(false)), "{statements}");
        if seq != Some(-2) {
            assert_eq!(said["seq"], json!(seq), "{statements}");
        }
    }
    fs::write(authority.data().join("attesto.db"), &whole).unwrap();
    authority.sqlite("UPDATE audit_head SET kek_id = 'gone'");
    let line = authority.run(&["audit", "verify"]).refused(78);
    assert!(line.contains("\"gone\", which is not configured"), "{line}");
}

/// One more row, in a place that is somebody else's or nobody's.
fn added(place: i64) -> String {
    // As SQLite reads the lowest number.
    let place = if place == i64::MIN { "-9223372036854775807 - 1".to_owned() } else { place.to_string() };
    format!(
        "INSERT INTO audit_events (at, event, actor, chain_seq) VALUES (1, 'signed_in', 'server', {place})"
    )
}

/// It would be on neither page.
#[test]
fn a_row_too_many_at_the_end_of_a_page_is_missed_by_nobody() {
    let authority = sealed();
    authority.sqlite(&many(2500));
    serve_once(&authority);
    authority.run(&["audit", "verify"]).done();
    authority.sqlite(&added(1000));
    let line = authority.run(&["audit", "verify"]).refused(BROKEN);
    assert!(line.ends_with("1 row too many has a place in the chain"), "{line}");
}

/// Somebody who has the key-encryption key can write another chain, and an older copy of a database is a whole one.
#[test]
fn what_was_noted_elsewhere_is_compared() {
    let authority = sealed();
    let noted = authority.json(&["audit", "verify"]);
    let place = format!("{}:{}", noted["last_seq"], noted["hash"].as_str().unwrap());
    let said = authority.run(&["audit", "verify"]).done();
    assert!(said.contains(&format!("--expect {place}")), "{said}");
    authority.settle();
    let older = authority.file("attesto.db");
    serve_once(&authority);
    let later = authority.json(&["audit", "verify"]);
    let verify = |expect: &str| authority.run(&["audit", "verify", "--expect", expect]);
    verify(&place).done();

    let other = format!("{}:{}", noted["last_seq"], later["hash"].as_str().unwrap());
    let line = verify(&other).refused(BROKEN);
    assert!(line.contains("has not the hash that was noted") && line.contains("restored"), "{line}");
    authority.settle();
    fs::write(authority.data().join("attesto.db"), older).unwrap();
    verify(&place).done();
    let line = verify(&format!("{}:{}", later["last_seq"], later["hash"].as_str().unwrap())).refused(BROKEN);
    assert!(line.contains("the database is an older copy of itself"), "{line}");
    for wrong in ["7", "7:ab", "x:00"] {
        assert_eq!(verify(wrong).any().0, Some(2), "{wrong}");
    }
}

/// So many rows, of long ago.
fn many(count: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO audit_events (at, event, actor, request_id, user_id, reason) \
         SELECT 1000 * i, 'signed_in', 'address:::' || i, 'r-' || i, CASE i % 2 WHEN 0 THEN 'ä\"' || i END, '' FROM n"
    )
}

#[test]
fn an_export_is_checked_by_the_program_that_is_documented() {
    let authority = sealed();
    // More than a page, with texts of every kind.
    authority.sqlite(&many(2500));
    serve_once(&authority);
    let whole = authority.json(&["audit", "verify"]);
    let file = authority.data().join("audit.jsonl");
    let name = file.to_str().unwrap();
    let said = authority.run(&["audit", "export", "--output", name]).done();
    assert!(said.starts_with(&format!("{} events are in ", whole["rows"])), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = authority.run(&["audit", "export", "--output", name]).refused(1);
    assert!(again.ends_with("audit.jsonl exists already; it is left as it is"), "{again}");

    let exported = authority.run(&["audit", "export"]).done();
    assert_eq!(exported, fs::read_to_string(&file).unwrap());
    let seqs: Vec<_> = lines(&exported).iter().map(|line| line["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=whole["rows"].as_i64().unwrap()).collect::<Vec<_>>());

    let check = |input: &str| run(Command::new("python3").args(["-c", &documented()]), input);
    let said = check(&exported).done();
    assert_eq!(said, format!("{} rows fit, up to {}\n", whole["rows"], whole["hash"].as_str().unwrap()));
    let behind = authority.run(&["audit", "export", "--after", "2400"]).done();
    assert_eq!(lines(&behind)[0]["seq"], json!(2401));
    check(&behind).done();
    let altered = exported.replacen("\"r-7\"", "\"r-8\"", 1);
    let (code, _, error) = check(&altered).any();
    assert!(code == Some(1) && error.contains("does not fit"), "{error}");
}

#[test]
fn an_export_has_what_was_asked_for() {
    let authority = sealed();
    let export =
        |options: &[&str]| lines(&authority.run(&[&["audit", "export"], options].concat()).done()).len();
    let all = export(&[]);
    assert!(all > 5);
    let last = (all - 1).to_string();
    for (options, count) in [
        (&["--after", &last][..], 1),
        (&["--after", "100000"], 0),
        (&["--since", "2000-01-01"], all),
        (&["--since", "2100-01-01T00:00:00Z"], 0),
        (&["--until", "2000-01-01"], 0),
        (&["--since", "1h", "--until", "0s"], all),
    ] {
        assert_eq!(export(options), count, "{options:?}");
    }
    assert_eq!(authority.run(&["audit", "export", "--since", "yesterday"]).any().0, Some(2));
    let fresh = Authority::configured(CONFIGURATION);
    fresh.set_up();
    let line = fresh.run(&["audit", "export"]).refused(1);
    assert!(line.starts_with("nothing is sealed yet"), "{line}");
}

#[test]
fn an_export_has_no_gap() {
    let authority = sealed();
    authority.sqlite("DELETE FROM audit_events WHERE chain_seq = 3");
    let line = authority.run(&["audit", "export", "--output", "audit.jsonl"]).refused(BROKEN);
    assert!(line.starts_with("row 3 of the audit is not where it belongs"), "{line}");
    assert!(line.contains("--after 3 exports"), "{line}");
    authority.run(&["audit", "export", "--after", "3"]).done();
}

/// Whoever has to give the chain up keeps what there was.
#[test]
fn rows_whose_head_is_gone_are_still_exported() {
    let authority = sealed();
    let before = authority.run(&["audit", "export"]).done();
    authority.sqlite("DELETE FROM audit_head");
    let after = authority.run(&["audit", "export"]).done();
    let (before, mut after) = (lines(&before), lines(&after));
    assert_eq!(after[0]["previous"].take(), Value::Null, "nobody vouches for it");
    after[0]["previous"] = before[0]["previous"].clone();
    assert!(before.len() > 3 && after == before);
}

/// Whoever reads the chain while its beginning moves is told so, and is told nothing wrong.
#[test]
fn a_purge_beside_it_disturbs_neither_verify_nor_export() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    // Nothing is sealed yet: that is no alteration.
    authority.sqlite(&format!("UPDATE audit_events SET at = 0; {}", many(20_000)));
    let server = authority.start();
    let mut first = 1;
    while first < 20_000 {
        let (code, said, error) = authority.run(&["audit", "verify", "--json"]).any();
        assert!(code == Some(0) || code == Some(75) || error.contains("there is no chain"), "{said} {error}");
        if code == Some(0) {
            let whole: Value = serde_json::from_str(&said).unwrap();
            first = whole["first_seq"].as_i64().unwrap();
        }
        let (code, said, error) = authority.run(&["audit", "export"]).any();
        assert!(code == Some(0) || code == Some(75) || error.contains("nothing is sealed yet"), "{error}");
        let seqs: Vec<_> = lines(&said).iter().map(|line| line["seq"].as_i64().unwrap()).collect();
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{error}");
    }
    server.stop();
    let line = authority.run(&["audit", "verify", "--expect", &format!("7:{}", "00".repeat(32))]).refused(1);
    assert!(line.starts_with("row 7 was noted, and cannot be compared any more"), "{line}");
}

#[test]
fn a_broken_chain_is_given_up_for_another_one() {
    let authority = sealed().with("SUDO_USER", "grace");
    let noted = authority.json(&["audit", "verify"]);
    let place = format!("{}:{}", noted["last_seq"], noted["hash"].as_str().unwrap());
    let server = authority.start();
    authority.sqlite("DELETE FROM audit_events WHERE chain_seq = 3");
    authority.run(&["audit", "verify"]).refused(BROKEN);
    let unsure = authority.run(&["audit", "renew"]).refused(1);
    assert!(unsure.contains("(row 3 is missing)") && unsure.contains("Give --yes if so"), "{unsure}");
    authority.run(&["audit", "verify"]).refused(BROKEN);

    let said = authority.json(&["audit", "renew", "--yes", "--reason", "it was the backup"]);
    assert!(said["behind"].as_i64() >= noted["last_seq"].as_i64(), "{said}");
    until("the running server seals it", || {
        let (code, said, _) = authority.run(&["audit", "verify", "--json"]).any();
        let said: Value = serde_json::from_str(&said).unwrap();
        (code == Some(0) && said["unsealed"] == 0).then_some(())
    });
    let whole = authority.json(&["audit", "verify"]);
    assert_eq!(whole["first_seq"].as_i64(), said["behind"].as_i64().map(|behind| behind + 1));
    let event = &authority.json(&["audit", "list", "--event", "audit_renewed"])[0];
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.starts_with("it was the backup; row 3 is missing; it ended at "), "{reason}");
    assert_eq!(event["actor"], "operator:grace");
    let line = authority.run(&["audit", "verify", "--expect", &place]).refused(1);
    assert!(line.contains("`attesto audit renew` began another chain"), "{line}");
    server.stop();
    authority.run(&["audit", "verify"]).done();
    let exported = authority.run(&["audit", "export"]).done().lines().count();
    assert_eq!(json!(exported), whole["rows"]);
}

/// Whatever became of the head.
#[test]
fn a_chain_without_a_head_that_anybody_believes_is_given_up_too() {
    let authority = sealed();
    authority.settle();
    let whole = authority.file("attesto.db");
    for (statement, code, found) in [
        ("DELETE FROM audit_head", BROKEN, "rows of the audit are sealed up to "),
        ("UPDATE audit_head SET seq = 0, hash = x'00'", BROKEN, "the head of the audit was altered"),
        (
            "UPDATE audit_head SET kek_id = 'gone'",
            78,
            "the head of the audit stands under the key-encryption key",
        ),
        (
            "UPDATE audit_events SET chain_seq = 9223372036854775807 WHERE chain_seq = 2",
            BROKEN,
            "the head of the audit was set back",
        ),
        // What an interruption leaves.
        (
            "DELETE FROM audit_head; UPDATE audit_events SET chain_seq = NULL, chain_hash = NULL WHERE chain_seq < 5",
            BROKEN,
            "rows of",
        ),
    ] {
        fs::write(authority.data().join("attesto.db"), &whole).unwrap();
        authority.sqlite(statement);
        authority.settle();
        authority.run(&["audit", "verify"]).refused(code);
        let said = authority.json(&["audit", "renew", "--yes"]);
        assert!(said["found"].as_str().unwrap().starts_with(found), "{statement}: {said}");
        serve_once(&authority);
        let whole = authority.json(&["audit", "verify"]);
        assert_eq!(whole["unsealed"], json!(0), "{statement}");
        authority.settle();
    }
}

#[test]
fn a_list_has_what_was_asked_for() {
    let authority = sealed();
    let count =
        |options: &[&str]| authority.json(&[&["audit", "list"], options].concat()).as_array().unwrap().len();
    let user = authority.json(&["users", "list"])[0]["id"].as_str().unwrap().to_owned();
    let signed_in = authority.json(&["audit", "list", "--event", "signed_in"]);
    let sid = signed_in[0]["sid"].as_str().unwrap();
    let kid = authority.json(&["keys", "list"])[0]["kid"].as_str().unwrap().to_owned();
    assert_eq!(signed_in.as_array().unwrap().len(), 3);
    for (options, expected) in [
        (&["--event", "initialised"][..], 1),
        (&["--user", "ada"], 4),
        (&["--user", &user], 4),
        (&["--session", sid], 1),
        (&["--key", &kid], 1),
        (&["--user", "ada", "--client", "simplejwt"], 3),
        (&["--since", "2100-01-01"], 0),
        (&["--until", "2000-01-01"], 0),
        (&["--since", "1h", "--event", "signed_in"], 3),
        (&["--since", "1h", "--until", "0s", "--event", "signed_in"], 3),
    ] {
        assert_eq!(count(options), expected, "{options:?}");
    }
    let (code, _, error) = authority.run(&["audit", "list", "--event", "sign_in"]).any();
    assert!(code == Some(2) && error.contains("no event has this name"), "{error}");
    let (code, listed, error) = authority.run(&["audit", "list", "--user", "eve", "--json"]).any();
    assert_eq!((code, listed.trim()), (Some(0), "[]"));
    assert!(error.starts_with("no user has this name"), "{error}");
}

/// A new key-encryption key takes the chain along.
#[test]
fn the_chain_comes_under_another_key_encryption_key() {
    let authority = sealed();
    authority.run(&["keys", "new-kek", authority.data().join("new").to_str().unwrap()]).done();
    let authority = authority.with("ATTESTO_KEY_ENCRYPTION_KEYS", "new,kek");
    authority.sqlite("CREATE TABLE old_head AS SELECT * FROM audit_head");
    let rewrap = || authority.run(&["keys", "rewrap"]).any();
    assert_eq!(rewrap().0, Some(0));
    // As a program of before the chain leaves it.
    authority.sqlite("DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM old_head");
    for nothing in [false, true] {
        let (code, said, _) = rewrap();
        assert_eq!((code, said.contains("Nothing had to be changed.")), (Some(0), nothing), "{said}");
    }
    fs::remove_file(authority.data().join("kek")).unwrap();
    let authority = authority.with("ATTESTO_KEY_ENCRYPTION_KEYS", "new");
    authority.run(&["audit", "verify"]).done();
    serve_once(&authority);
    assert_eq!(authority.json(&["audit", "verify"])["unsealed"], json!(0));
}

/// The example of the page.
fn documented() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let (_, program) = page.split_once("```python\n").expect("an example");
    program.split_once("```").unwrap().0.to_owned()
}
