//! Packages of the machine's Debian, unpacked instead of installed: no password is needed, and nothing else changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::made_once::made_once;

const UNPACK: &str = r#"for package in *.deb; do dpkg --extract "$package" .; rm "$package"; done"#;

/// Starts a program with the libraries that were unpacked. What the machine had was not unpacked.
const START: &str = r#"#!/bin/sh
here=$(dirname "$0")
for folder in "$here"/lib/*-linux-gnu "$here"/usr/lib/*-linux-gnu "$here"/usr/lib/*-linux-gnu/systemd; do
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
for program in "$here"/PROGRAM /PROGRAM; do
    [ ! -x "$program" ] || exec "$program" "$@"
done
echo "$0: there is no PROGRAM" >&2
exit 127
"#;

/// A folder with a package and what it depends on, except for what the machine has. Each program, which is given as the
/// pattern of its path in the package, can be started by its name there.
pub(crate) fn unpacked(folder: &Path, package: &str, programs: &[&str]) -> Result<PathBuf, Failure> {
    let remedy = format!("install {package} (on Debian: apt-get install {package})");
    made_once(folder, &[&[package, UNPACK, START], programs].concat().join("\n"), |folder| {
        let mut plan = Command::new("apt-get");
        let plan = plan.args(["--simulate", "--no-install-recommends", "install", package]);
        let plan = command::output_of(plan, &remedy)?;
        let packages = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        let mut download = Command::new("apt-get");
        download.args(["--quiet", "--quiet", "download"]).args(packages);
        command::run(download.current_dir(folder), &remedy)?;
        command::run(Command::new("sh").args(["-ec", UNPACK]).current_dir(folder), &remedy)?;
        programs.iter().try_for_each(|program| write_start(folder, program))
    })
}

fn write_start(folder: &Path, program: &str) -> Result<(), Failure> {
    let name = Path::new(program).file_name().expect("a program has a name");
    let start = folder.join(name);
    fs::write(&start, START.replace("PROGRAM", program)).map_err(|error| {
        Failure::new(format!("{} cannot be written ({error})", start.display()), "make room")
    })?;
    command::run(Command::new("chmod").arg("755").arg(start), "use a file system with permissions")
}
