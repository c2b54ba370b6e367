use std::fs;
use std::path::{Path, PathBuf};

use super::{program, text};
use crate::process::run;

const ANALYZE: &str = "ATTESTO_TEST_SYSTEMD_ANALYZE";
const SERVICE: &str = "attesto.service";
const CHECK: &str = "attesto-check.service";
const TIMER: &str = "attesto-check.timer";
const INSTALLED: &str = "/usr/local/bin/attesto";

/// Of a hundred, as systemd counts what a service could do to its machine; 96 is one that nothing was taken from.
const EXPOSED_AT_MOST: &str = "--threshold=15";

#[test]
fn the_services_are_sound_and_can_do_little_harm() {
    let Some(mut verify) = program(ANALYZE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = [SERVICE, CHECK, TIMER].map(|unit| with_this_program(folder.path(), unit));
    run(verify.args(["verify", "--man=no"]).args(&files), "").done();
    for service in &files[..2] {
        let mut security = program(ANALYZE).unwrap();
        security.args(["security", "--offline=true", "--no-pager", EXPOSED_AT_MOST]).arg(service);
        let (code, judged, complaint) = run(&mut security, "").any();
        assert!(code == Some(0) && complaint.is_empty(), "{judged}{complaint}");
    }
}

/// With the program of this run in the place of the installed one, which has to be there.
fn with_this_program(folder: &Path, unit: &str) -> PathBuf {
    let file = folder.join(unit);
    fs::write(&file, systemd(unit).replace(INSTALLED, env!("CARGO_BIN_EXE_attesto"))).unwrap();
    file
}

fn systemd(unit: &str) -> String {
    text(&format!("systemd/{unit}"))
}

#[test]
fn the_services_run_what_they_are_for() {
    assert_eq!(commands(SERVICE), ["serve"]);
    assert_eq!(commands(CHECK), ["audit verify", "doctor"]);
}

/// What it runs, by the file that the pages name.
fn commands(unit: &str) -> Vec<String> {
    let command = |line: &str| {
        let command = line.strip_prefix(&format!("ExecStart={INSTALLED} "))?;
        Some(command.strip_suffix(" --config /etc/attesto/attesto.toml")?.to_owned())
    };
    systemd(unit).lines().filter_map(command).collect()
}

/// Whoever changes where the server has its key from changes it for both.
#[test]
fn the_check_has_the_key_as_the_server_has_it() {
    let lines = |unit: &str| {
        let is_of_the_key =
            |line: &&str| line.starts_with("LoadCredential=") || line.starts_with("Environment=");
        systemd(unit).lines().filter(is_of_the_key).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(CHECK), lines(SERVICE));
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
