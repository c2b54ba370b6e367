//! Somebody writes to the database who has no key-encryption key.

use std::time::{Duration, Instant};

use attesto_core::KeyState;
use attesto_server::{Environment, open};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::fixture::{
    ADA, Authority, BUSY, DAY, EMPTY, Folder, Log, PASSWORD, RS256, SECOND, SHORT, kid_of, soon,
};

/// From then on no confirmation is younger than the one second that [`SHORT`] allows.
const TOO_LONG: Duration = Duration::from_millis(1050);

/// Brings everything about keys back to what was saved as `present`.
const PUT_RIGHT: &str = "BEGIN IMMEDIATE;
    DELETE FROM keys; INSERT INTO keys SELECT * FROM present_keys;
    DELETE FROM key_ledger; INSERT INTO key_ledger SELECT * FROM present_ledger;
    CREATE UNIQUE INDEX IF NOT EXISTS one_active_key ON keys (purpose, algorithm) WHERE state = 'active';
    COMMIT;";

fn save(folder: &Folder, name: &str) {
    folder.sql(&format!(
        "CREATE TABLE {name}_keys AS SELECT * FROM keys; CREATE TABLE {name}_ledger AS SELECT * FROM key_ledger"
    ));
}

/// An authority with keys in several states, and what somebody may have copied of its database over time: the tables
/// of the first start, the present ones, and a key that was staged but for a moment.
struct Target {
    leaked: String,
    retiring: String,
    active: String,
    staged: String,
    /// A genuine row that the present ledger does not know.
    extra: String,
    /// The first row, of whichever line.
    first: String,
}

impl Target {
    async fn prepare() -> (Self, Authority) {
        let authority = Authority::with(SHORT).await;
        save(&authority.folder, "first");
        let leaked = authority.key(RS256, KeyState::Active).await;
        // The first keys are of the same instant, whatever comes later is not.
        authority.clock.advance(SECOND);
        authority.compromise(&leaked).await;
        let (retiring, active) = authority.rotated(RS256).await;
        let staged = authority.key(RS256, KeyState::Staged).await;
        save(&authority.folder, "present");
        let extra = authority.stage(RS256).await.rows[0].kid.clone();
        save(&authority.folder, "late");
        authority.folder.sql(PUT_RIGHT);
        // It has seen the later version, which was never there from now on.
        let authority = authority.restarted().await;
        let first = authority.read(|tx| tx.find_key_table()).await.keys[0].kid.clone();
        (Self { leaked, retiring, active, staged, extra, first }, authority)
    }
}

struct Tampering {
    what: &'static str,
    sql: String,
    /// What a running server says.
    running: String,
    /// What refuses a start.
    starting: String,
}

fn altered(kid: &str) -> String {
    format!(
        "the row of signing key {kid:?} was changed by somebody without the key-encryption key; find out by whom, \
         and restore the row from a backup"
    )
}

fn put_back(kid: &str) -> String {
    format!(
        "the row of signing key {kid:?} is an old copy that somebody put back; find out by whom, and restore the \
         table from a backup"
    )
}

fn added(kid: &str) -> String {
    format!(
        "the row of signing key {kid:?} was added by somebody without the key-encryption key; find out by whom, and \
         remove it"
    )
}

fn taken_away(kid: &str) -> String {
    format!(
        "the row of signing key {kid:?} was taken away by somebody without the key-encryption key; restore it from a \
         backup"
    )
}

fn seal_broken(kid: &str) -> String {
    format!("the sealed private half of signing key {kid:?} does not open; restore the row from a backup")
}

fn went_back(stored: i64) -> String {
    format!(
        "the database holds version {stored} of the signing keys, which does not follow version 3 that is in use; restore the \
         newer database, or restart the server if it was replaced on purpose"
    )
}

const LEDGER_ALTERED: &str = "the ledger of the signing keys was changed by somebody without the key-encryption \
                              key; find out by whom, and restore the table key_ledger from a backup";
const LEDGER_MISSING: &str =
    "the ledger of the signing keys was taken away; restore the table key_ledger from a backup";

fn tamperings(target: &Target) -> Vec<Tampering> {
    let both =
        |what, sql: String, line: String| Tampering { what, sql, starting: line.clone(), running: line };
    rows(target)
        .into_iter()
        .chain(copies(target))
        .map(|(what, sql, line)| both(what, sql, line))
        .chain(ledgers(target))
        .collect()
}

/// Rows are changed, made up and removed.
fn rows(Target { leaked, retiring, active, staged, .. }: &Target) -> Vec<(&'static str, String, String)> {
    let set = |kid: &str, what: &str| format!("UPDATE keys SET {what} WHERE kid = '{kid}'");
    let of = |kid: &str, column: &str| format!("(SELECT {column} FROM present_keys WHERE kid = '{kid}')");
    let others = "algorithm, purpose, state, public_jwk, sealed_private_key, kek_id, authority_id, created_at, \
                  published_at, active_at, demoted_at, retired_at, destroyed_at, compromised_at, mac";
    vec![
        ("a leaked key is published again", set(leaked, "state = 'retiring'"), altered(leaked)),
        (
            "a key was never leaked",
            set(leaked, "state = 'retiring', demoted_at = compromised_at, compromised_at = NULL"),
            altered(leaked),
        ),
        ("a retiring key is withdrawn", set(retiring, "state = 'retired'"), altered(retiring)),
        (
            "a staged key signs",
            [set(active, "state = 'retiring'"), set(staged, "state = 'active'")].join(";"),
            altered(active),
        ),
        ("a key is older than it was", set(staged, "published_at = 0"), altered(staged)),
        (
            "two keys change places",
            [
                set(active, "kid = 'x'"),
                set(retiring, &format!("kid = '{active}'")),
                set("x", &format!("kid = '{retiring}'")),
            ]
            .join(";"),
            // The older of the two rows.
            altered(active),
        ),
        (
            "a public half is another's",
            set(staged, &format!("public_jwk = {}", of(retiring, "public_jwk"))),
            altered(staged),
        ),
        (
            "a private half is another's",
            set(active, &format!("sealed_private_key = {}", of(retiring, "sealed_private_key"))),
            seal_broken(active),
        ),
        (
            "a row is made up",
            format!("INSERT INTO keys SELECT 'made-up', {others} FROM keys WHERE kid = '{staged}'"),
            altered("made-up"),
        ),
        ("a row is deleted", format!("DELETE FROM keys WHERE kid = '{leaked}'"), taken_away(leaked)),
        (
            "the key that signs is deleted",
            format!("DELETE FROM keys WHERE kid = '{active}'"),
            taken_away(active),
        ),
    ]
}

/// Genuine rows come from a copy of the database.
fn copies(target: &Target) -> Vec<(&'static str, String, String)> {
    let Target { leaked, retiring, extra, .. } = target;
    let copy = |from: &str, kid: &str| {
        format!(
            "DELETE FROM keys WHERE kid = '{kid}'; INSERT INTO keys SELECT * FROM {from} WHERE kid = '{kid}'"
        )
    };
    vec![
        (
            "a leaked key is what it was before",
            format!("DROP INDEX one_active_key; {}", copy("first_keys", leaked)),
            put_back(leaked),
        ),
        ("a rotated key is staged again", copy("first_keys", retiring), put_back(retiring)),
        ("a row comes from a later copy", copy("late_keys", extra), added(extra)),
    ]
}

/// The ledger is changed, replaced and removed.
fn ledgers(target: &Target) -> Vec<Tampering> {
    let leaked = &target.leaked;
    let set = |what: &str| format!("UPDATE key_ledger SET {what}");
    let altered_ledger = || LEDGER_ALTERED.to_owned();
    let oldest = leaked.min(&target.retiring);
    vec![
        Tampering {
            what: "nothing was ever leaked",
            sql: set("compromised = '[]'"),
            running: altered_ledger(),
            starting: altered_ledger(),
        },
        Tampering {
            what: "the ledger forgets a row",
            sql: format!(
                "{}; DELETE FROM keys WHERE kid = '{leaked}'",
                set(&format!("rows = json_remove(rows, '$.\"{leaked}\"')"))
            ),
            running: altered_ledger(),
            starting: altered_ledger(),
        },
        Tampering {
            what: "a later version",
            sql: set("version = 9"),
            running: altered_ledger(),
            starting: altered_ledger(),
        },
        Tampering {
            what: "an earlier version",
            sql: set("version = 1"),
            running: altered_ledger(),
            starting: altered_ledger(),
        },
        Tampering {
            what: "the ledger of yesterday",
            sql: "DELETE FROM key_ledger; INSERT INTO key_ledger SELECT * FROM first_ledger".to_owned(),
            running: put_back(oldest),
            starting: put_back(oldest),
        },
        Tampering {
            what: "no ledger",
            sql: "DELETE FROM key_ledger".to_owned(),
            running: LEDGER_MISSING.to_owned(),
            // Taken for rows from before there were ledgers, which have another MAC.
            starting: altered(&target.first),
        },
    ]
}

/// All of it, or nothing that a running server could see.
fn tamper(folder: &Folder, sql: &str) {
    folder.sql(&format!("BEGIN IMMEDIATE; {sql}; COMMIT"));
}

#[actix_web::test]
async fn a_running_server_publishes_nothing_of_it_says_so_and_stops_signing() {
    let (target, authority) = Target::prepare().await;
    let (log, _guard) = Log::capture_here();
    let mut pair = authority.sign_in().await;
    let set = authority.jwks().await.without_request_id();
    for Tampering { what, sql, running, .. } in tamperings(&target) {
        let said = log.lines_with("the signing keys cannot be confirmed").len();
        tamper(&authority.folder, &sql);
        sleep(TOO_LONG).await;
        authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
        authority.refresh(&pair.refresh).await.is(503, BUSY);
        authority.verify(&pair.access).await.is(200, EMPTY);
        assert_eq!(authority.jwks().await.without_request_id(), set.clone().not_to_be_kept(), "{what}");
        let lines = log.lines_with("the signing keys cannot be confirmed").split_off(said);
        assert!(lines.len() == 1 && lines[0].ends_with(&format!("cause={running:?}")), "{what}: {lines:?}");

        authority.folder.sql(PUT_RIGHT);
        let renewed =
            soon(async || Some(authority.refresh(&pair.refresh).await).filter(|it| it.status == 200));
        pair = renewed.await.pair();
        assert_eq!(kid_of(&pair.access), target.active, "{what}");
        assert_eq!(authority.jwks().await.without_request_id(), set, "{what}");
    }
    assert_eq!(authority.living().await.len(), 1);
}

#[actix_web::test]
async fn no_server_starts_on_it_and_nothing_is_changed() {
    let (target, authority) = Target::prepare().await;
    let folder = authority.into_folder().await;
    for Tampering { what, sql, starting, .. } in tamperings(&target) {
        tamper(&folder, &sql);
        let before = folder.files();
        let refused = open(&folder.settings, Environment::system()).await.err().expect(what);
        assert_eq!(
            refused.to_string(),
            format!("key_encryption_keys: {starting}; nothing was changed"),
            "{what}"
        );
        assert!(refused.is_configuration());
        assert!(folder.files() == before, "{what}");
        folder.sql(PUT_RIGHT);
    }
    Authority::open(folder).await.sign_in().await;
}

const YESTERDAY: &str = "DELETE FROM keys; INSERT INTO keys SELECT * FROM first_keys;
                         DELETE FROM key_ledger; INSERT INTO key_ledger SELECT * FROM first_ledger";

/// All key tables of an earlier day are what a restored backup looks like: a server that knows better says so, and one
/// that starts takes it for that.
#[actix_web::test]
async fn a_running_server_does_not_go_back_to_the_tables_of_yesterday() {
    let (target, authority) = Target::prepare().await;
    let (log, _guard) = Log::capture_here();
    let refresh = authority.sign_in().await.refresh;
    let set = authority.jwks().await.without_request_id();
    tamper(&authority.folder, YESTERDAY);
    sleep(TOO_LONG).await;
    authority.refresh(&refresh).await.is(503, BUSY);
    assert_eq!(authority.jwks().await.without_request_id(), set.clone().not_to_be_kept());
    let lines = log.lines_with("the signing keys cannot be confirmed");
    assert!(lines.len() == 1 && lines[0].contains(&went_back(1)), "{lines:?}");
    let authority = authority.restarted().await;
    assert!(authority.published().await.contains(&target.leaked), "as the backup says");
}

/// The server reads the keys more than once until it has loaded them. Somebody gives it something else each time.
#[actix_web::test]
async fn nor_when_they_come_in_the_middle_of_a_look() {
    let (target, authority) = Target::prepare().await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        for sql in ["UPDATE key_ledger SET version = 9", YESTERDAY] {
            tamper(&authority.folder, sql);
            assert!(!authority.published().await.contains(&target.leaked), "yesterday's set");
            yield_now().await;
        }
    }
    authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
    authority.folder.sql(PUT_RIGHT);
    soon(async || (authority.obtain(ADA, PASSWORD).await.status == 200).then_some(())).await;
}

/// A step or two of the timetable would make the old tables as new as the ones in use.
#[actix_web::test]
async fn nor_does_its_schedule_build_on_them() {
    let (target, authority) = Target::prepare().await;
    tamper(&authority.folder, YESTERDAY);
    authority.clock.advance(31 * DAY);
    let _schedule = authority.schedule();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(!authority.published().await.contains(&target.leaked), "yesterday's set");
        assert_eq!(authority.folder.number("SELECT version FROM key_ledger"), Some(1));
        sleep(Duration::from_millis(50)).await;
    }
    authority.folder.sql(PUT_RIGHT);
    let rotates = async || {
        let active = authority.read(|tx| tx.find_key_table()).await.active(RS256).unwrap().kid.clone();
        (active == target.staged).then_some(())
    };
    soon(rotates).await;
}

/// Whoever puts an old copy back can let an honest command build on it: then its version is no older.
#[actix_web::test]
async fn what_is_built_on_an_old_copy_is_refused_as_well() {
    let authority = Authority::with(SHORT).await;
    save(&authority.folder, "present");
    let leaked = authority.key(RS256, KeyState::Active).await;
    authority.compromise(&leaked).await;
    authority.follows().await;

    authority.folder.sql(PUT_RIGHT);
    for _ in 0..3 {
        authority.stage(RS256).await;
    }
    assert_eq!(authority.key(RS256, KeyState::Active).await, leaked, "the old copy was built on");
    sleep(TOO_LONG).await;
    for _ in 0..5 {
        sleep(Duration::from_millis(250)).await;
        assert!(!authority.published().await.contains(&leaked));
        authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
    }
}
