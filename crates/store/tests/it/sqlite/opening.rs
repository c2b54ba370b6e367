//! What is opened is ours, known and writable; what is refused stays as it is, byte for byte.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use attesto_store::{DatabaseUrl, OpenError, ServerLock, Store};
use diesel::connection::SimpleConnection;
use tempfile::TempDir;

use super::file::{connect, files, path, tamper, url_in};
use crate::fixture::Database;
use crate::place::Place;
use crate::processes::{Role, Worker, say, this_binary, wait_to_go_on};

/// Makes something where the database should be.
type Make = fn(&Path);

const FOREIGN: &str = "URL is not a database of Attesto";

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let table: [(&str, Make, &str); 8] = [
        ("nothing", |_| (), "there is no database at URL; `attesto init` makes one"),
        ("an empty file", |file| fs::write(file, "").unwrap(), "there is no database at URL"),
        ("a letter", |file| fs::write(file, "x").unwrap(), FOREIGN),
        ("a text", |file| fs::write(file, "word\n".repeat(2000)).unwrap(), FOREIGN),
        ("another program's database", |file| other_program(file, "t (x)"), FOREIGN),
        ("a table of that name", |file| other_program(file, "schema_requirement (x)"), FOREIGN),
        ("no requirement", |file| other_program(file, "schema_requirement (minimum_binary TEXT)"), FOREIGN),
        (
            "a directory",
            |file| fs::create_dir(file).unwrap(),
            "cannot open URL: unable to open database file",
        ),
    ];
    for (what, make, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        let url = url_in(folder.path());
        make(path(&url));
        let before = listing(folder.path());
        let refused = refused(&url).to_string();
        assert!(refused.starts_with(&expected.replace("URL", &url.to_string())), "{what}: {refused}");
        assert_eq!(listing(folder.path()), before, "{what}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_not_called_a_foreign_one() {
    let (folder, url) = closed().await;
    let mut bytes = fs::read(path(&url)).unwrap();
    bytes[100..4096].fill(0xff);
    fs::write(path(&url), bytes).unwrap();
    let before = listing(folder.path());
    let refused = refused(&url);
    assert!(
        matches!(&refused, OpenError::Unreachable { cause, .. } if cause.contains("malformed")),
        "{refused}"
    );
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn a_database_that_needs_a_newer_program_is_refused_and_left_alone() {
    for needed in ["99.0.0", "0.4.1", "0.4.0.1", "soon"] {
        let (folder, url) = closed_after(&requires(needed)).await;
        let before = listing(folder.path());
        let refused = refused(&url);
        let OpenError::BinaryTooOld { needed: named, this, .. } = &refused else { panic!("{refused}") };
        assert_eq!((named.as_str(), *this), (needed, env!("CARGO_PKG_VERSION")));
        assert_eq!(listing(folder.path()), before, "{needed}");
    }
    for needed in ["0.0.9", "0.1.0", "0.2.0", "0.3.0", "0.4.0"] {
        let (_folder, url) = closed_after(&requires(needed)).await;
        Store::open(&url).unwrap();
    }
}

#[tokio::test]
async fn an_older_schema_is_refused_by_what_never_changes_it() {
    let database = Database::empty().await;
    let store = &database.store;
    store.require_current().await.unwrap();
    let before = database.contents();
    store.migrate().await.unwrap();
    assert_eq!(database.contents(), before);

    database.tamper("DELETE FROM __diesel_schema_migrations");
    let before = database.contents();
    let refused = Store::open(&database.url).unwrap().require_current().await;
    assert!(matches!(refused, Err(OpenError::SchemaTooOld(url)) if url == database.url));
    assert_eq!(database.contents(), before);
}

#[tokio::test]
async fn what_exists_is_not_created_again() {
    let (folder, ours) = closed().await;
    let named = |name: &str| DatabaseUrl::parse(&format!("sqlite:{name}"), folder.path()).unwrap();
    fs::write(folder.path().join("text"), "word").unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    let before = listing(folder.path());
    for url in [ours, named("text"), named("directory")] {
        let refused = Store::create(&url).await.err().unwrap();
        assert!(matches!(&refused, OpenError::Exists(named) if *named == url), "{refused}");
        assert_eq!(listing(folder.path()), before);
    }
    let refused = Store::create(&named("absent/attesto.db")).await.err().unwrap();
    assert!(matches!(refused, OpenError::Unreachable { .. }), "{refused}");
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn an_interrupted_start_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(folder.path());
    fs::write(path(&url), "").unwrap();
    allow(path(&url), 0o644);
    Store::create(&url).await.unwrap();
    assert_eq!(fs::metadata(path(&url)).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(Store::create(&url).await, Err(OpenError::Exists(_))));
}

#[tokio::test]
async fn a_path_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["data base.db", "50%20#1&mode=ro.db", "grün.db"] {
        let url = DatabaseUrl::parse(&format!("sqlite:{name}"), folder.path()).unwrap();
        Store::create(&url).await.unwrap();
        Store::open(&url).unwrap();
        assert!(folder.path().join(name).exists());
    }
}

#[tokio::test]
async fn only_its_owner_reads_a_database() {
    let database = Database::new().await;
    let lock = ServerLock::acquire(&database.url).unwrap();
    let Place::Folder(folder) = &database.place else { panic!() };
    let lock_file = folder.path().join("attesto.db.lock");
    for path in files(&database.url).iter().chain([&lock_file]) {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
    drop(lock);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_when_it_is_opened() {
    for (what, file, inside) in [("its file", 0o444, 0o777), ("its folder", 0o666, 0o555)] {
        let (folder, url) = closed().await;
        let before = fs::read(path(&url)).unwrap();
        allow(path(&url), file);
        allow(folder.path(), inside);
        let mut opening = Worker::spawn(&mut as_nobody(folder.path()), Role::Open, 0, &url);
        let said = opening.finish();
        allow(folder.path(), 0o700);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("cannot open"), "{what} is read-only: {said:?}");
        assert_eq!(fs::read(path(&url)).unwrap(), before, "{what}");
    }
}

/// Opens the database and says what came of it.
pub(crate) fn opens(url: &DatabaseUrl) {
    say(&Store::open(url).err().map_or("opened".to_owned(), |refused| refused.to_string()));
}

#[tokio::test]
async fn one_server_has_the_lock() {
    let database = Database::empty().await;
    let url = &database.url;
    let is_taken = || matches!(ServerLock::acquire(url), Err(OpenError::InUse(_)));
    let here = ServerLock::acquire(url).unwrap();
    assert!(is_taken());
    let mut elsewhere = Worker::start(Role::Lock, 0, url);
    elsewhere.until_ready();
    elsewhere.release();
    assert_eq!(elsewhere.finish(), ["in use"]);
    drop(here);

    let mut elsewhere = Worker::start(Role::Lock, 0, url);
    elsewhere.until_ready();
    assert!(is_taken());
    // Commands that are no server need no lock.
    Store::open(url).unwrap();
    // Killed, not asked to leave.
    drop(elsewhere);
    assert!(!is_taken());
}

/// Takes the lock if it can, and holds it until told to go on.
pub(crate) fn locks(url: &DatabaseUrl) {
    let taken = ServerLock::acquire(url);
    wait_to_go_on();
    say(match taken {
        Ok(_) => "taken",
        Err(OpenError::InUse(_)) => "in use",
        Err(_) => "failed",
    });
}

fn refused(url: &DatabaseUrl) -> OpenError {
    Store::open(url).err().expect("it is refused")
}

fn requires(version: &str) -> String {
    format!("UPDATE schema_requirement SET minimum_binary = '{version}'")
}

/// A database that nobody has open.
async fn closed() -> (TempDir, DatabaseUrl) {
    closed_after("").await
}

async fn closed_after(tampering: &str) -> (TempDir, DatabaseUrl) {
    let Database { store, url: before, place: _place } = Database::new().await;
    drop(store);
    tamper(&before, tampering);
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(folder.path());
    fs::copy(path(&before), path(&url)).unwrap();
    (folder, url)
}

fn other_program(file: &Path, table: &str) {
    fs::write(file, "").unwrap();
    let url = url_in(file.parent().unwrap());
    connect(&url).batch_execute(&format!("CREATE TABLE {table}")).unwrap();
}

/// Every file of a folder, and what is in it.
fn listing(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.display().to_string(), fs::read(&path).ok())).collect();
    files.sort();
    files
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// This binary, run by somebody whom permissions bind: root gives itself up.
fn as_nobody(mine: &Path) -> Command {
    const NOBODY: u32 = 65534;
    let mut command = this_binary();
    if fs::metadata(mine).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[tokio::test]
async fn a_link_to_a_database_leads_to_the_same_lock() {
    let (folder, url) = closed().await;
    let link = DatabaseUrl::parse("sqlite:link.db", folder.path()).unwrap();
    std::os::unix::fs::symlink(path(&url), path(&link)).unwrap();
    let _lock = ServerLock::acquire(&url).unwrap();
    assert!(matches!(ServerLock::acquire(&link), Err(OpenError::InUse(_))));
}
