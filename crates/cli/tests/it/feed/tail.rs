//! `attesto feed tail`: the newest records, and those to come.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::{Authority, CONFIGURATION};
use crate::process::{Process, interruptible, until};
use crate::token::{claims, decoded, parts};

#[test]
fn the_newest_records_are_listed_with_their_ids() {
    let (authority, user_id) = set_up();
    assert_eq!(tail(&authority, &[]), Vec::<Value>::new());
    revoke(&authority);
    authority.run(&["clients", "disable", "simplejwt"]).done();
    revoke(&authority);

    let all = tail(&authority, &[]);
    let ids: Vec<_> = all.iter().map(|record| (&record["seq"], &record["kind"], &record["id"])).collect();
    let (client, subject) = (json!("client"), json!("subject"));
    let (portal, ada) = (json!("simplejwt"), json!(user_id));
    let seqs = [json!(1), json!(2), json!(3)];
    assert_eq!(ids, [(&seqs[0], &subject, &ada), (&seqs[1], &client, &portal), (&seqs[2], &subject, &ada)]);
    let members: Vec<_> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["expires", "id", "kind", "not_before", "seq"]);

    assert_eq!(tail(&authority, &["-n", "2"]), all[1..]);
    assert_eq!(tail(&authority, &["-n", "0"]), Vec::<Value>::new());
    assert_eq!(tail(&authority, &["--kind", "client"]), all[1..2]);
    assert_eq!(tail(&authority, &["--kind", "subject", "-n", "1"]), all[2..]);
    assert_eq!(tail(&authority, &["--kind", "jti"]), Vec::<Value>::new());

    let lines = authority.run(&["feed", "tail", "-n", "1"]).done();
    let words: Vec<Vec<_>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["seq", "kind", "not", "before", "expires", "age", "id"]);
    let [_, last] = words.as_slice() else { panic!("{lines}") };
    let text = |name: &str| all[2][name].as_str().unwrap();
    assert_eq!(last[..4], ["3", "subject", text("not_before"), text("expires")]);
    assert_eq!(last.last(), Some(&text("id")));
}

/// By it, an operator finds a record in what a consumer holds.
#[test]
fn a_hash_is_the_one_in_the_feed() {
    let (authority, _) = set_up();
    let server = authority.start();
    let sid = claims(&server.sign_in().access)["sid"].as_str().unwrap().to_owned();
    authority.run(&["sessions", "revoke", &sid]).done();
    let snapshot = until("the server publishes", || {
        let answer = server.get("/revocations").body;
        (claims(&answer)["seq"] == 1).then_some(answer)
    });
    let records = decoded(claims(&snapshot)["records"].as_str().unwrap());
    assert_eq!((parts(&snapshot).len(), records.len()), (3, 24));
    let hash = records[4..16].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let shown = tail(&authority, &["--hashes"]);
    assert_eq!((&shown[0]["id"], &shown[0]["hash"]), (&json!(sid), &json!(hash)));
    let lines = authority.run(&["feed", "tail", "--hashes"]).done();
    assert!(lines.ends_with(&format!("  {hash}  {sid}\n")), "{lines}");
}

#[test]
fn a_record_to_come_is_printed_within_a_second_until_somebody_interrupts() {
    let (authority, user_id) = set_up();
    revoke(&authority);
    let (mut following, lines) = follow(&authority, &["-n", "1", "--json"]);
    let next = || {
        let line = lines.recv_timeout(Duration::from_secs(30)).expect("a line");
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(next()["seq"], 1);
    let mut delays = Vec::new();
    for seq in 2..5 {
        revoke(&authority);
        let committed = Instant::now();
        let record = next();
        delays.push(committed.elapsed());
        assert_eq!((&record["seq"], &record["id"]), (&json!(seq), &json!(user_id)));
    }
    // The others may have met a busy machine.
    assert!(delays.iter().min().unwrap() < &Duration::from_secs(1), "{delays:?}");

    following.interrupt();
    // Of the signal, which a shell shows as 130.
    assert_eq!(following.exit().signal(), Some(2));
    assert!(lines.recv().is_err(), "nothing more was said");
}

#[test]
fn only_the_wanted_kind_is_followed() {
    let (authority, _) = set_up();
    let (_following, lines) = follow(&authority, &["-n", "0", "--kind", "client"]);
    let header = lines.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(header.trim_start().starts_with("seq "), "{header}");
    revoke(&authority);
    authority.run(&["clients", "disable", "simplejwt"]).done();
    let line = lines.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), ["2", "client"]);
}

/// Also when there is nothing to write, by which it would notice.
#[test]
fn it_ends_when_nobody_reads_any_more() {
    let (authority, _) = set_up();
    revoke(&authority);
    let (mut following, mut stdout) = spawn(&authority, &["-n", "1"]);
    stdout.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(following.0.try_wait().unwrap(), None);
    drop(stdout);
    assert_eq!(following.exit().code(), Some(0));
}

#[test]
fn another_feed_is_not_taken_for_the_same() {
    let (authority, _) = set_up();
    let mut command = authority.command(&["feed", "tail", "--follow"]);
    let mut following = Process(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    following.0.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    authority.sqlite("UPDATE feed SET epoch = epoch + 1");
    assert_eq!(following.exit().code(), Some(1));
    let mut complaint = String::new();
    following.0.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!(complaint, "attesto: another feed began: the database was restored; start again\n");
}

/// An authority without a server, and the id of its user.
fn set_up() -> (Authority, String) {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let user_id = authority.json(&["users", "list"])[0]["id"].as_str().unwrap().to_owned();
    (authority, user_id)
}

fn revoke(authority: &Authority) {
    authority.run(&["sessions", "revoke", "--user", "ada"]).done();
}

/// What it says to programs: an object a line.
#[track_caller]
fn tail(authority: &Authority, arguments: &[&str]) -> Vec<Value> {
    let printed = authority.run(&[&["feed", "tail", "--json"], arguments].concat()).done();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Starts following; gives the lines as they come.
fn follow(authority: &Authority, arguments: &[&str]) -> (Process, Receiver<String>) {
    let (following, stdout) = spawn(authority, arguments);
    let (lines, receiver) = channel();
    thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    (following, receiver)
}

fn spawn(authority: &Authority, arguments: &[&str]) -> (Process, ChildStdout) {
    let mut command = interruptible(&authority.command(&[&["feed", "tail", "--follow"], arguments].concat()));
    let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let stdout = process.0.stdout.take().unwrap();
    (process, stdout)
}
