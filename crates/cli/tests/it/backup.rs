//! A copy of the database that is made while a server works on it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::authority::{Authority, CONFIGURATION};
use crate::load::Load;

#[test]
fn a_copy_that_is_made_under_load_is_a_whole_database() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let server = authority.start();
    let before: Vec<_> = (0..20).map(|_| server.sign_in()).collect();
    let load = Load::sign_in(&server, 4, Duration::ZERO);
    let copy = authority.data().join("copy.db");
    let name = copy.to_str().unwrap();
    load.during(
        server.address,
        |refreshed| drop(refreshed.pair()),
        || {
            authority.run(&["backup", name]).done();
        },
    );
    load.assert_alive(&server);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let again = authority.run(&["backup", name]).refused(1);
    assert!(again.ends_with("copy.db exists already; it is left as it is"), "{again}");
    server.stop();

    let other = Authority::configured(CONFIGURATION);
    for (from, to) in [("copy.db", "attesto.db"), ("kek", "kek")] {
        fs::copy(authority.data().join(from), other.data().join(to)).unwrap();
    }
    let server = other.start();
    for pair in before {
        server.refresh(&pair.refresh).pair();
    }
    assert_eq!(other.json(&["sessions", "list"]).as_array().unwrap().len(), 24);
}

/// Whoever has put the new program in its place already still wants a copy of what was before.
#[test]
fn a_database_of_an_older_version_is_copied_as_it_is() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let down = include_str!("../../../../migrations/sqlite/0004_audit_chain/down.sql");
    authority.sqlite(&format!("{down}; DELETE FROM __diesel_schema_migrations WHERE version = '0004';"));
    authority.settle();
    let copy = authority.data().join("copy.db");
    authority.run(&["backup", copy.to_str().unwrap()]).done();
    assert!(authority.run(&["users", "list"]).refused(1).contains("attesto migrate"), "it is older still");

    authority.run(&["migrate"]).done();
    fs::rename(&copy, authority.data().join("attesto.db")).unwrap();
    assert!(authority.run(&["users", "list"]).refused(1).contains("attesto migrate"), "and so is the copy");
    authority.start().sign_in();
}

#[test]
fn a_copy_that_cannot_be_written_leaves_nothing() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let copy = authority.data().join("absent/copy.db");
    let refused = authority.run(&["backup", copy.to_str().unwrap()]).refused(1);
    assert!(refused.contains("cannot write"), "{refused}");
    assert!(!copy.exists());
}
