//! Keys change together with everything that belongs to the change, on the very table that was decided on, or not at
//! all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attesto_core::{
    Actor, AuditEvent, Event, KeyChange, KeyRecord, KeyState, KeyTable, KeyUse, Line, Revocation,
    RevocationKind,
};
use attesto_store::{Changed, RecordedRevocation, Store};

use crate::fixture::{Database, LINES, NOW, RS256, added, key, key_change, violation};
use crate::processes::{Role, run_many, say};

#[tokio::test]
async fn a_change_is_written_whole() {
    let database = Database::empty().await;
    database.begin_keys(first_keys()).await;
    let audit = database.rows("audit_events");
    let change = compromise();
    let expected = KeyTable {
        keys: [&change.rows[..], &[key("c", RS256, KeyState::Retiring)]].concat(),
        ledger: Some(change.ledger.clone()),
    };
    assert_eq!(database.change_keys(change, &events()).await.unwrap(), Changed::Yes);

    assert_eq!(database.key_table().await, sorted(expected));
    let record = RecordedRevocation {
        seq: 1,
        kind: RevocationKind::Kid as i32,
        id: "a".to_owned(),
        not_before: NOW.as_millis(),
        expires_at: (NOW + Duration::from_secs(1_234)).as_millis(),
    };
    assert_eq!(database.read(|read| read.list_revocations(0, 10)).await, [record]);
    let facts = database.read(|read| read.find_key_facts()).await;
    assert_eq!(facts.uses, [("d".to_owned(), KeyUse { latest_exp: Some(NOW), signatures: 4 })].into());
    let new = added(&audit, &database.rows("audit_events"));
    let expected = [("key_compromised", "a"), ("key_promoted", "b"), ("key_imported", "d")];
    assert_eq!(new.len(), expected.len());
    for (row, (event, kid)) in new.iter().zip(expected) {
        let who = format!("event='{event}' actor='operator:tester' request_id=NULL");
        assert!(row.contains(&who) && row.contains(&format!("reason='it leaked' kid='{kid}' ")), "{row}");
    }
}

#[tokio::test]
async fn a_change_that_violates_a_constraint_leaves_everything_as_it_was() {
    type Spoil = fn(&mut KeyChange);
    let table: [(&str, Spoil, &str); 3] = [
        (
            "a second active key",
            |change| change.rows.push(key("e", RS256, KeyState::Active)),
            "UniqueViolation",
        ),
        // The demotion has to come first: the index holds after every row.
        ("promotion before demotion", |change| change.rows.swap(0, 1), "UniqueViolation"),
        (
            "the use of a key that is unknown",
            |change| change.used = Some(("e".to_owned(), KeyUse::default())),
            "ForeignKeyViolation",
        ),
    ];
    let database = Database::empty().await;
    database.begin_keys(first_keys()).await;
    let before = database.contents();
    for (what, spoil, expected) in table {
        let mut change = compromise();
        spoil(&mut change);
        let refused = database.change_keys(change, &events()).await.expect_err(what);
        assert_eq!(violation(&refused), expected, "{what}");
        assert_eq!(database.contents(), before, "{what}");
    }
    assert_eq!(database.change_keys(compromise(), &events()).await.unwrap(), Changed::Yes);
}

#[tokio::test]
async fn a_change_of_another_version_changes_nothing() {
    let database = Database::empty().await;
    for (from, expected) in [
        (Some(0), Changed::LostRace),
        (Some(1), Changed::LostRace),
        (None, Changed::Yes),
        (None, Changed::LostRace),
        (Some(0), Changed::LostRace),
        (Some(2), Changed::LostRace),
        (Some(1), Changed::Yes),
        (Some(1), Changed::LostRace),
        (Some(3), Changed::LostRace),
    ] {
        let before = database.contents();
        let mut change = key_change(from, first_keys());
        change.revocation = Some(revocation("a"));
        change.used = Some(("a".to_owned(), KeyUse { latest_exp: Some(NOW), signatures: 1 }));
        assert_eq!(database.change_keys(change, &events()).await.unwrap(), expected, "{from:?}");
        assert_eq!(database.contents() == before, expected == Changed::LostRace, "{from:?}");
    }
    assert_eq!(database.read(|read| read.list_revocations(0, 10)).await.len(), 2);
}

/// One that signs, one that is to follow, one that signed before.
fn first_keys() -> Vec<KeyRecord> {
    [("a", KeyState::Active), ("b", KeyState::Staged), ("c", KeyState::Retiring)]
        .map(|(kid, state)| key(kid, RS256, state))
        .into()
}

/// The change of the [`first_keys`] that writes all that a change can.
fn compromise() -> KeyChange {
    let rows = [("a", KeyState::Compromised), ("b", KeyState::Active), ("d", KeyState::Retiring)];
    let mut change = key_change(Some(1), rows.map(|(kid, state)| key(kid, RS256, state)).into());
    change.ledger.compromised.push("a".to_owned());
    change.revocation = Some(revocation("a"));
    change.used = Some(("d".to_owned(), KeyUse { latest_exp: Some(NOW), signatures: 4 }));
    change
}

/// The record of a leaked key, which says itself when it expires.
fn revocation(kid: &str) -> Revocation {
    Revocation {
        kind: RevocationKind::Kid,
        id: kid.to_owned(),
        not_before: NOW,
        expires_at: NOW + Duration::from_secs(1_234),
    }
}

fn events() -> Vec<AuditEvent> {
    [(Event::KeyCompromised, "a"), (Event::KeyPromoted, "b"), (Event::KeyImported, "d")]
        .map(|(event, kid)| {
            AuditEvent::new(event, Actor::Operator("tester".to_owned()), NOW).key(kid).note("it leaked")
        })
        .into()
}

const WRITERS: usize = 16;
const VERSIONS: i64 = 200;

/// A compromise now and then, besides the rotations.
const LEAKS: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_one_takes_each_version_and_none_is_lost() {
    let database = Database::empty().await;
    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(database.store.clone(), over.clone()));
    let url = database.url.clone();
    let changing = tokio::task::spawn_blocking(move || run_many(WRITERS, Role::ChangeKeys, &url)).await;
    over.store(true, Ordering::Release);
    let said = changing.unwrap();
    let seen = watching.await.unwrap();

    let (lost, won): (Vec<_>, Vec<_>) = said.iter().partition(|line| *line == "lost");
    assert!(!lost.is_empty(), "nobody met anybody");
    let wins = wins(&won);
    assert!(wins.iter().map(|(version, _)| *version).eq(1..=VERSIONS), "{wins:?}");
    let tables = replay(&wins);
    assert_eq!(database.key_table().await, tables[&VERSIONS]);
    assert!(seen.len() > 10, "the reader met {} versions only", seen.len());
    for (version, table) in &seen {
        assert_eq!(table, &tables[version], "version {version}");
    }
    let leaks =
        (1..=VERSIONS).filter(|version| version % LEAKS == 0).map(|version| leaked(&tables[&version]));
    let records = database.read(|read| read.list_revocations(0, VERSIONS)).await;
    assert!(records.iter().map(|record| &record.id).eq(leaks));
    let audited = database.rows("audit_events").into_iter().filter(|row| row.contains("'key_promoted'"));
    assert_eq!(audited.count(), wins.len());
}

/// Tries to be the one who makes each next version.
pub(crate) async fn changes(store: Store, number: usize) {
    loop {
        let table = store.read(|read| read.find_key_table()).await.unwrap();
        let change = next_change(&table, number);
        let version = change.ledger.version;
        if version > VERSIONS {
            return;
        }
        let event = AuditEvent::new(Event::KeyPromoted, Actor::Server, NOW);
        let changed = store.write(move |write| write.change_keys(&change, std::slice::from_ref(&event)));
        match changed.await.unwrap() {
            Changed::Yes => say(&format!("{version} {number}")),
            Changed::LostRace => say("lost"),
        }
    }
}

/// Who took which version, in the order of the versions.
fn wins(said: &[&String]) -> Vec<(i64, usize)> {
    let mut wins: Vec<_> = said
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(version, number)| (version.parse().unwrap(), number.parse().unwrap()))
        .collect();
    wins.sort_unstable();
    wins
}

/// The table after each version, if every change was made on the one before it.
fn replay(wins: &[(i64, usize)]) -> BTreeMap<i64, KeyTable> {
    let mut tables = BTreeMap::from([(0, KeyTable { keys: vec![], ledger: None })]);
    for (version, number) in wins {
        let before = &tables[&(version - 1)];
        let change = next_change(before, *number);
        let kept = before.keys.iter().filter(|key| change.rows.iter().all(|row| row.kid != key.kid));
        let keys = kept.chain(&change.rows).cloned().collect();
        tables.insert(*version, sorted(KeyTable { keys, ledger: Some(change.ledger) }));
    }
    tables
}

/// What the writer of this number makes of a table: the first keys, then a rotation. Every version has its line, and
/// every row that it writes names version and writer.
fn next_change(table: &KeyTable, number: usize) -> KeyChange {
    let from = table.ledger.as_ref().map(|ledger| ledger.version);
    let version = from.unwrap_or(0) + 1;
    let name = format!("{version}.{number}");
    let (rows, leaked) = match from {
        None => (LINES.iter().flat_map(|line| begin(*line, &name)).collect(), None),
        Some(_) => rotate(table, LINES[usize::try_from(version).unwrap() % LINES.len()], version, &name),
    };
    let rows = rows.into_iter().map(|row| KeyRecord { mac: name.clone().into_bytes(), ..row }).collect();
    let mut change = key_change(from, rows);
    if let Some(before) = &table.ledger {
        let kept = before.rows.iter().filter(|(kid, _)| !change.ledger.rows.contains_key(*kid));
        let kept: Vec<_> = kept.map(|(kid, mac)| (kid.clone(), mac.clone())).collect();
        change.ledger.rows.extend(kept);
        change.ledger.compromised = [&before.compromised[..], leaked.as_slice()].concat();
    }
    KeyChange { revocation: leaked.as_deref().map(revocation), ..change }
}

fn begin(line: Line, name: &str) -> [KeyRecord; 2] {
    [KeyState::Active, KeyState::Staged]
        .map(|state| key(&format!("{name} {line} {}", state.as_str()), line, state))
}

/// The rows of a rotation, and the key that it declares leaked.
fn rotate(table: &KeyTable, line: Line, version: i64, name: &str) -> (Vec<KeyRecord>, Option<String>) {
    let (active, staged) = (table.active(line).unwrap(), table.staged(line)[0]);
    let is_leak = version % LEAKS == 0;
    let demoted = if is_leak { KeyState::Compromised } else { KeyState::Retiring };
    let age = Duration::from_secs(version.unsigned_abs());
    let rows = vec![
        KeyRecord { state: demoted, ..active.clone() },
        KeyRecord { state: KeyState::Active, ..staged.clone() },
        KeyRecord { created_at: NOW + age, ..key(name, line, KeyState::Staged) },
    ];
    (rows, is_leak.then(|| active.kid.clone()))
}

/// Every version that it meets. In each of them one key of every line is active, and the ledger knows every row.
async fn watch(store: Store, over: Arc<AtomicBool>) -> BTreeMap<i64, KeyTable> {
    let mut seen = BTreeMap::new();
    let mut latest = 0;
    while !over.load(Ordering::Acquire) {
        let table = store.read(|read| read.find_key_table()).await.unwrap();
        let Some(ledger) = &table.ledger else { continue };
        assert!(ledger.version >= latest, "version {} after {latest}", ledger.version);
        latest = ledger.version;
        for line in LINES {
            let active = table.keys.iter().filter(|key| key.line() == line && key.state == KeyState::Active);
            assert_eq!(active.count(), 1, "{line} in version {latest}");
        }
        let macs: BTreeMap<_, _> = table.keys.iter().map(|key| (key.kid.clone(), key.mac.clone())).collect();
        assert_eq!(macs, ledger.rows, "version {latest}");
        seen.insert(latest, table);
    }
    seen
}

/// The key that was declared leaked last.
fn leaked(table: &KeyTable) -> &String {
    table.ledger.as_ref().unwrap().compromised.last().unwrap()
}

/// In the order of the store.
fn sorted(mut table: KeyTable) -> KeyTable {
    table.keys.sort_by(|one, other| (one.created_at, &one.kid).cmp(&(other.created_at, &other.kid)));
    table
}
