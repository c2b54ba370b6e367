//! The program of the version before, and this one after it, on what the other has left.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::authority::{Authority, CONFIGURATION};
use crate::process::{by, run};
use crate::server::Credentials;

/// The program of the version before. Nothing if somebody asked for a run without it, or the checkout cannot have it.
pub(crate) fn previous() -> Option<PathBuf> {
    let without = env::var("ATTESTO_TEST_WITHOUT").unwrap_or_default();
    if without.split(',').any(|step| step == "previous") {
        return None;
    }
    let program = env::var_os("ATTESTO_TEST_PREVIOUS");
    let program = program.expect("ATTESTO_TEST_PREVIOUS is not set: run the tests with `cargo xtask test`");
    let version = run(Command::new(&program).arg("--version"), "").done();
    assert!(!version.contains(env!("CARGO_PKG_VERSION")), "{version} is this version");
    Some(program.into())
}

/// Sets an authority up with another program.
#[track_caller]
pub(crate) fn set_up_by(authority: &Authority, program: impl Fn(Command) -> Command) {
    run(&mut program(authority.command(&["init"])), &Credentials::first_user().lines()).done();
}

#[test]
fn a_file_of_the_version_before_is_brought_up_to_date_and_can_be_taken_back() {
    let Some(previous) = previous() else { return };
    let older = |command: Command| by(&previous, &command);
    let authority = Authority::configured(CONFIGURATION);
    set_up_by(&authority, older);

    let server = authority.try_start_as(older).unwrap();
    let (first, ended) = (server.sign_in(), server.sign_in());
    let first = server.refresh(&first.refresh).pair();
    assert_eq!(server.blacklist(&ended.refresh).status, 200);
    server.stop();

    let server = authority.start();
    assert_eq!(server.verify(&first.access).status, 200);
    let first = server.refresh(&first.refresh).pair();
    let second = server.sign_in();
    assert_eq!(server.refresh(&ended.refresh).refused(401), "Token is blacklisted");
    server.stop();

    let server = authority.try_start_as(older).unwrap();
    let first = server.refresh(&first.refresh).pair();
    let second = server.refresh(&second.refresh).pair();
    assert_eq!(server.blacklist(&first.refresh).status, 200);
    server.stop();

    let server = authority.start();
    server.refresh(&second.refresh).pair();
    for ended in [ended, first] {
        assert_eq!(server.refresh(&ended.refresh).refused(401), "Token is blacklisted");
    }
}
