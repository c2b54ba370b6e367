use std::fs;

use super::{program, text};
use crate::process::run;

const INSTALLED: &str = "/usr/local/bin/attesto";

/// Of a hundred, as systemd counts what a service could do to its machine; 96 is one that nothing was taken from.
const EXPOSED_AT_MOST: &str = "--threshold=15";

/// With the program of this run in the place of the installed one, which has to be there.
#[test]
fn the_service_is_sound_and_can_do_little_harm() {
    const ANALYZE: &str = "ATTESTO_TEST_SYSTEMD_ANALYZE";
    let Some(mut verify) = program(ANALYZE) else { return };
    let mut security = program(ANALYZE).unwrap();
    let unit = text("systemd/attesto.service");
    assert!(unit.contains(&format!("\nExecStart={INSTALLED} serve ")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("attesto.service");
    fs::write(&file, unit.replace(INSTALLED, env!("CARGO_BIN_EXE_attesto"))).unwrap();

    run(verify.args(["verify", "--man=no"]).arg(&file), "").done();
    security.args(["security", "--offline=true", "--no-pager", EXPOSED_AT_MOST]).arg(&file);
    let (code, judged, complaint) = run(&mut security, "").any();
    assert!(code == Some(0) && complaint.is_empty(), "{judged}{complaint}");
}

/// Also by root's commands, after what its first lines have one do.
#[test]
fn the_service_has_its_key_read_from_where_it_was_moved_to() {
    let unit = text("systemd/attesto.service");
    let path = unit.lines().find_map(|line| line.strip_prefix("LoadCredential=kek:")).unwrap();
    assert!(unit.contains(&format!("-o root -g root /var/lib/attesto/kek {path} ")));
    let (_, after) = unit.split_once("shred -u").unwrap();
    assert!(after.contains(&format!("key_encryption_keys = [\"{path}\"]")));
}

/// A wrong configuration is not tried again and again.
#[test]
fn the_service_knows_the_exit_code_of_a_wrong_configuration() {
    assert!(text("systemd/attesto.service").contains("\nRestartPreventExitStatus=78\n"));
}
