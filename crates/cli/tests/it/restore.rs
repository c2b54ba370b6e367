//! A copy of the database that is put back: what was ended since it was made stays ended.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use attesto_core::KeyState;
use serde_json::Value;

use crate::authority::{Authority, CONFIGURATION};
use crate::http::Pair;
use crate::keeper::{Keeper, RS256, SHORT_INTERVALS, active};
use crate::load::kid;
use crate::process::until;
use crate::server::Server;

/// Everybody's tokens, as they were when the copy was made or a moment later.
pub(crate) struct Tokens {
    /// Ended since.
    ended: Pair,
    /// Refreshed since: the predecessor, and its successor.
    consumed: Pair,
    successor: Pair,
    /// Begun since.
    begun: Pair,
    /// Untouched.
    idle: Pair,
}

/// An authority of which there is a copy, and much that happened since.
fn backed_up(configuration: &str) -> (Authority, Server, String, Tokens) {
    let authority = Authority::configured(configuration);
    authority.set_up();
    let server = authority.start();
    let copy = authority.data().join("copy.db").to_str().unwrap().to_owned();
    let tokens = since_the_copy(&server, || drop(authority.run(&["backup", &copy]).done()));
    (authority, server, copy, tokens)
}

/// Makes a copy, and then whatever it must not bring back.
pub(crate) fn since_the_copy(server: &Server, back_up: impl FnOnce()) -> Tokens {
    let (ended, consumed, idle) = (server.sign_in(), server.sign_in(), server.sign_in());
    back_up();
    assert_eq!(server.blacklist(&ended.refresh).status, 200);
    let successor = server.refresh(&consumed.refresh).pair();
    Tokens { ended, consumed, successor, begun: server.sign_in(), idle }
}

#[track_caller]
pub(crate) fn nothing_works_again(server: &Server, tokens: &Tokens) {
    let Tokens { ended, consumed, successor, begun, idle } = tokens;
    for pair in [ended, consumed, successor, begun, idle] {
        assert_eq!(server.refresh(&pair.refresh).status, 401);
        assert_ne!(server.verify(&pair.access).status, 200);
        assert_ne!(server.verify(&pair.refresh).status, 200);
    }
    let pair = server.sign_in();
    server.refresh(&pair.refresh).pair();
}

#[test]
fn nothing_that_was_ended_since_the_copy_works_again() {
    let (authority, server, copy, tokens) = backed_up(CONFIGURATION);
    let (rotated, leaked) = (signing(&authority), kid(&tokens.idle.access));
    assert_eq!(rotated, leaked);
    authority.run(&["keys", "compromise", &leaked]).done();
    let promoted = signing(&authority);
    let running = authority.run(&["restore", &copy, "--yes"]).refused(1);
    assert!(running.contains("another server is using this database"), "{running}");
    server.stop();
    // Of a feed that a clock began which was ahead.
    authority.sqlite("UPDATE feed SET epoch = epoch + 3600000");
    let epoch = epoch(&authority);
    let database = authority.data().join("attesto.db");
    fs::set_permissions(&database, Permissions::from_mode(0o640)).unwrap();

    let said = authority.json(&["restore", &copy, "--yes", "--emergency"]);
    assert_eq!(said["sessions_ended"], true);
    let key =
        |kid: &str| said["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone();
    assert_eq!(
        (&key(&leaked)["copied"], &key(&leaked)["before"], &key(&leaked)["now"]),
        (&"active".into(), &"compromised".into(), &"compromised".into())
    );
    assert_eq!((&key(&promoted)["copied"], &key(&promoted)["now"]), (&"staged".into(), &"active".into()));

    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o640);
    let server = authority.start();
    nothing_works_again(&server, &tokens);
    let keeper = Keeper::of(&authority);
    assert_eq!(keeper.table().find(&leaked).unwrap().state, KeyState::Compromised);
    assert_eq!(keeper.times_revoked(&leaked), 1);
    assert!(self::epoch(&authority) > epoch, "another feed");
    server.stop();

    // What it replaced is whole, and can be put back the same way.
    let replaced = said["replaced"].as_str().unwrap();
    assert!(Path::new(replaced).exists());
    authority.run(&["restore", replaced, "--yes", "--emergency"]).done();
    authority.start().sign_in();
}

#[test]
fn a_key_that_cannot_be_known_yet_is_waited_for() {
    let (authority, server, copy, _) = backed_up(CONFIGURATION);
    server.stop();
    let before = authority.files();
    let refused = authority.run(&["restore", &copy, "--yes"]).refused(75);
    assert!(refused.contains("verifiers may not know key") && refused.contains("--emergency"), "{refused}");
    authority.assert_unchanged_since(&before);
    let unsure = authority.run(&["restore", &copy]).refused(1);
    assert!(unsure.contains("signs everybody out") && unsure.contains("--yes"), "{unsure}");
    authority.assert_unchanged_since(&before);
}

#[test]
fn where_the_database_is_lost_the_operator_names_what_leaked() {
    let (authority, server, copy, tokens) = backed_up(&format!("{CONFIGURATION}{SHORT_INTERVALS}"));
    let keeper = Keeper::of(&authority);
    until("the staged key may sign", || keeper.permits_rotation(RS256).then_some(()));
    authority.run(&["keys", "rotate"]).done();
    let (first, second) = (kid(&tokens.idle.access), signing(&authority));
    drop(keeper);
    server.stop();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(authority.data().join(format!("attesto.db{end}")));
    }

    let stranger = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let leaks = ["--compromised", &first, "--compromised", stranger];
    let said = authority.json(&[&["restore", &copy, "--yes"][..], &leaks].concat());
    assert_eq!(said["replaced"], Value::Null);
    let shown = said["keys"].as_array().unwrap().iter().find(|key| key["kid"] == stranger).unwrap();
    assert_eq!((&shown["copied"], &shown["now"]), (&Value::Null, &"compromised".into()));
    let slip = authority.run(&["restore", &copy, "--yes", "--compromised", &stranger[1..]]).any();
    assert!(slip.0 == Some(2) && slip.2.contains("43 letters"), "{slip:?}");
    let server = authority.start();
    nothing_works_again(&server, &tokens);
    assert_eq!(signing(&authority), second, "it was staged then");
    let keeper = Keeper::of(&authority);
    assert_eq!((keeper.times_revoked(&first), keeper.times_revoked(stranger)), (1, 1));
    server.stop();
}

/// Root puts a copy back on a new machine, and the server is somebody else. Only root can give files away.
#[test]
fn what_root_restores_belongs_to_whom_its_folder_does() {
    const SOMEBODY: u32 = 4242;
    let (authority, server, copy, _) = backed_up(CONFIGURATION);
    server.stop();
    let database = |end: &str| authority.data().join(format!("attesto.db{end}"));
    for end in ["", "-wal", "-shm", ".lock"] {
        let _ = fs::remove_file(database(end));
    }
    if chown(authority.data(), Some(SOMEBODY), Some(SOMEBODY)).is_err() {
        return;
    }
    authority.run(&["restore", &copy, "--yes", "--emergency", "--nothing-leaked"]).done();
    for end in ["", ".lock"] {
        let file = fs::metadata(database(end)).unwrap();
        assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (SOMEBODY, SOMEBODY, 0o600), "{end}");
    }
}

/// SQLite would fold it into whatever database lies beside it.
#[test]
fn what_a_crash_left_of_a_lost_database_is_not_folded_into_the_copy() {
    let (authority, server, copy, tokens) = backed_up(CONFIGURATION);
    let log = authority.data().join("attesto.db-wal");
    server.kill();
    let left = fs::read(&log).unwrap();
    assert!(!left.is_empty());
    fs::remove_file(authority.data().join("attesto.db")).unwrap();

    let restore = ["restore", &copy, "--yes", "--emergency"];
    let unsure = authority.run(&restore).refused(1);
    assert!(unsure.contains("there is no database") && unsure.contains("--nothing-leaked"), "{unsure}");
    authority.run(&[&restore[..], &["--nothing-leaked"]].concat()).done();
    let files = authority.files();
    let (kept, _) = files.iter().find(|(_, content)| **content == left).unwrap();
    assert!(kept.starts_with("attesto.db.replaced-") && kept.ends_with("-wal"), "{kept}");
    nothing_works_again(&authority.start(), &tokens);
}

#[test]
fn a_database_that_cannot_be_read_is_said_and_kept() {
    let (authority, server, copy, tokens) = backed_up(CONFIGURATION);
    let database = authority.data().join("attesto.db");
    server.stop();
    let junk = "not what it was ".repeat(1_000);
    fs::write(&database, &junk).unwrap();

    let restore = ["restore", &copy, "--yes", "--emergency"];
    let unsure = authority.run(&restore).refused(1);
    assert!(unsure.contains("not a database") && unsure.contains("--compromised KID"), "{unsure}");
    assert_eq!(fs::read(&database).unwrap(), junk.as_bytes());
    let said = authority.json(&[&restore[..], &["--nothing-leaked"]].concat());
    assert_eq!(fs::read(said["replaced"].as_str().unwrap()).unwrap(), junk.as_bytes());
    nothing_works_again(&authority.start(), &tokens);
}

#[test]
fn sessions_live_on_if_they_are_told_to() {
    let (authority, server, copy, tokens) = backed_up(CONFIGURATION);
    let epoch = epoch(&authority);
    server.stop();
    let said = authority.json(&["restore", &copy, "--yes", "--emergency", "--keep-sessions"]);
    assert_eq!(said["sessions_ended"], false);
    let server = authority.start();
    assert!(self::epoch(&authority) > epoch);
    assert_eq!(server.refresh(&tokens.begun.refresh).status, 401, "the copy does not know it");
    for pair in [&tokens.idle, &tokens.ended, &tokens.consumed] {
        server.refresh(&pair.refresh).pair();
    }
}

#[test]
fn what_is_no_copy_of_this_authority_changes_nothing() {
    let authority = Authority::configured(CONFIGURATION);
    let stranger = Authority::configured(&CONFIGURATION.replace("127.0.0.1:9", "127.0.0.1:10"));
    let twin = Authority::configured(CONFIGURATION);
    for authority in [&authority, &stranger, &twin] {
        authority.set_up();
    }
    fs::write(authority.data().join("text"), "no database at all, but long enough for a header ".repeat(9))
        .unwrap();
    fs::write(authority.data().join("empty"), "").unwrap();
    let path = |authority: &Authority, name: &str| authority.data().join(name).to_str().unwrap().to_owned();
    let before = authority.files();
    for (copy, cause) in [
        (path(&authority, "absent"), "there is no such copy: /"),
        (path(&authority, "text"), "is not a database"),
        (path(&authority, "empty"), "is not a database of Attesto"),
        (path(&authority, "kek"), "is not a database"),
        (path(&stranger, "attesto.db"), "issuer"),
        (path(&twin, "attesto.db"), "key-encryption key"),
    ] {
        let refused = authority.run(&["restore", &copy, "--yes", "--emergency"]).any();
        assert_ne!(refused.0, Some(0), "{copy}");
        assert!(refused.2.contains(cause), "{copy}: {}", refused.2);
        authority.assert_unchanged_since(&before);
    }
    fs::copy(authority.data().join("attesto.db"), authority.data().join("attesto.db.restoring")).unwrap();
    let before = authority.files();
    let refused = authority.run(&["restore", &path(&authority, "attesto.db.restoring"), "--yes"]).refused(1);
    assert!(refused.contains("interrupted"), "{refused}");
    authority.assert_unchanged_since(&before);
}

/// What leaked is asked for only where nothing else is in the way.
#[test]
fn a_key_encryption_key_that_is_missing_is_named_first() {
    let (authority, server, copy, _) = backed_up(CONFIGURATION);
    server.stop();
    fs::rename(authority.data().join("kek"), authority.data().join("away")).unwrap();
    let before = authority.files();
    let line = authority.run(&["restore", &copy]).refused(78);
    assert!(line.starts_with("key_encryption_keys: ") && line.contains("put the file back"), "{line}");
    authority.assert_unchanged_since(&before);
}

#[test]
fn a_damaged_copy_is_named_and_not_what_it_would_replace() {
    let (authority, server, copy, _) = backed_up(CONFIGURATION);
    server.stop();
    let whole = fs::read(&copy).unwrap();
    // Within the schema, which is read first, and behind it.
    for quarters in [1, 3] {
        let mut bytes = whole.clone();
        bytes[whole.len() * quarters / 4..].fill(0x7f);
        fs::write(&copy, bytes).unwrap();
        let before = authority.files();
        let line = authority.run(&["restore", &copy, "--yes", "--emergency"]).refused(1);
        let expected =
            format!("the copy {copy} is damaged (database disk image is malformed); take another one");
        assert_eq!(line, expected, "{quarters} quarters");
        authority.assert_unchanged_since(&before);
    }
}

fn signing(authority: &Authority) -> String {
    active(&Keeper::of(authority).table(), RS256).kid.clone()
}

/// The feed's, as its head says it.
fn epoch(authority: &Authority) -> String {
    authority.json(&["feed", "show"])["epoch"].as_str().unwrap().to_owned()
}

/// Places that were given since the copy are given once more: the audit says which.
#[test]
fn the_audit_says_where_the_one_ended_that_was_replaced() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    authority.start().stop();
    let copy = authority.data().join("copy.db").to_str().unwrap().to_owned();
    authority.run(&["backup", &copy]).done();
    let server = authority.start();
    server.sign_in();
    server.stop();
    let replaced = authority.json(&["audit", "verify"]);
    let place = format!("{}:{}", replaced["last_seq"], replaced["hash"].as_str().unwrap());
    authority.run(&["restore", &copy, "--yes", "--emergency", "--reason", "the disk broke"]).done();
    let event = &authority.json(&["audit", "list", "--event", "feed_renewed"])[0];
    let expected = format!("the disk broke; the audit that was replaced ended at {place}");
    assert_eq!(event["reason"].as_str(), Some(expected.as_str()));
    authority.run(&["audit", "verify"]).done();

    let server = authority.start();
    for _ in 0..9 {
        server.sign_in();
    }
    server.stop();
    authority.run(&["audit", "verify"]).done();
    let line = authority.run(&["audit", "verify", "--expect", &place]).refused(65);
    assert!(line.contains("an older copy was restored since"), "{line}");
}
