use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use attesto_keyring::{KekError, KeyEncryptionKey};
use attesto_server::config::Settings;
use rustix::fs::statvfs;

use super::finding::{Finding, Findings};

const MEBIBYTE: u64 = 1024 * 1024;

/// Below this a database stops writing soon.
const LEAST_FREE: u64 = 64 * MEBIBYTE;

/// Below this somebody should look.
const LITTLE_FREE: u64 = 1024 * MEBIBYTE;

/// Looks at modes, owners and free space: of the configuration, the key-encryption keys, the database.
pub fn examine(configuration: Option<&Path>, settings: &Settings, findings: &mut Findings) {
    if let Some(path) = configuration {
        findings.add(configuration_file(path, settings));
    }
    for path in &settings.key_encryption_keys {
        findings.add(key_encryption_key(path, is_set_up(settings)));
    }
    if let Some(path) = settings.database.file() {
        database(path, findings);
    }
}

fn configuration_file(path: &Path, settings: &Settings) -> Finding {
    let check = "configuration file";
    let Ok(found) = metadata(path) else {
        return Finding::wrong(
            check,
            format!("{} cannot be looked at", path.display()),
            "let this user read it",
        );
    };
    if found.mode() & 0o022 != 0 {
        return Finding::wrong(
            check,
            format!("{} can be changed by others (mode {:04o})", path.display(), bits(&found)),
            format!("chmod go-w {}", path.display()),
        );
    }
    // It may hold the password of a database.
    if found.mode() & 0o044 != 0 && settings.database.file().is_none() {
        return Finding::warning(
            check,
            format!(
                "{} can be read by others (mode {:04o}), with the URL of the database",
                path.display(),
                bits(&found)
            ),
            format!("chmod go-r {}", path.display()),
        );
    }
    Finding::ok(check, format!("{}, mode {:04o}", path.display(), bits(&found)))
}

/// As far as files tell.
fn is_set_up(settings: &Settings) -> bool {
    settings.database.file().is_none_or(Path::exists)
}

fn key_encryption_key(path: &Path, is_set_up: bool) -> Finding {
    let check = "key-encryption key";
    match KeyEncryptionKey::read(path) {
        Ok(kek) => Finding::ok(check, format!("{}: {}", path.display(), kek.id().0)),
        Err(KekError::Exposed { path, mode, remedy }) => Finding::wrong(
            check,
            format!("{} is open to other users (mode {mode:04o})", path.display()),
            format!("{remedy}; attesto keys new-kek, if one of them may have read it"),
        ),
        Err(KekError::Absent { path }) => Finding::wrong(
            check,
            format!("{} is not there", path.display()),
            if is_set_up {
                "put it back from its copy; a new one opens no existing database"
            } else {
                "attesto init, which makes it and the database; if there were any, put their copies back"
            },
        ),
        Err(other) => Finding::wrong(check, other.to_string(), "see docs/operations/keys.md"),
    }
}

fn database(path: &Path, findings: &mut Findings) {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let files: Vec<_> = ["", "-wal", "-shm", ".lock"]
        .map(beside)
        .into_iter()
        .filter_map(|file| metadata(&file).ok().map(|found| (file, found)))
        .collect();
    let open: Vec<_> = files.iter().filter(|(_, found)| found.mode() & 0o077 != 0).collect();
    let owners = files.windows(2).any(|pair| pair[0].1.uid() != pair[1].1.uid());
    let check = "database files";
    let names = |files: &[&(PathBuf, Metadata)]| {
        files.iter().map(|(file, _)| file.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    if files.is_empty() {
        return;
    }
    findings.add(if !open.is_empty() {
        let (says, remedy) = (names(&open), format!("chmod 600 {}", names(&open)));
        Finding::wrong(check, format!("open to other users, with password hashes and names: {says}"), remedy)
    } else if owners {
        let all: Vec<_> = files.iter().collect();
        Finding::wrong(
            check,
            "they belong to several users, and a server may not write all of them".to_owned(),
            format!("chown them to the user of the server: {}", names(&all)),
        )
    } else {
        Finding::ok(check, format!("{}, for user {} alone", path.display(), files[0].1.uid()))
    });
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    findings.add(folder_of(folder));
    findings.add(free_space(folder));
}

fn folder_of(folder: &Path) -> Finding {
    let check = "database folder";
    match metadata(folder) {
        // Who can write there can put another file in the place of the database.
        Ok(found) if found.mode() & 0o022 != 0 => Finding::wrong(
            check,
            format!("{} can be written by others (mode {:04o})", folder.display(), bits(&found)),
            format!("chmod go-w {}", folder.display()),
        ),
        Ok(found) => Finding::ok(check, format!("{}, mode {:04o}", folder.display(), bits(&found))),
        Err(cause) => Finding::wrong(
            check,
            format!("{} cannot be looked at: {cause}", folder.display()),
            "let this user enter it",
        ),
    }
}

fn free_space(folder: &Path) -> Finding {
    let check = "disk space";
    let Ok(disk) = statvfs(folder) else {
        return Finding::warning(check, "not known".to_owned(), format!("df {}", folder.display()));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let says = format!("{} MiB are free at {}", free / MEBIBYTE, folder.display());
    let remedy = "free some; without it nobody can sign in";
    if free < LEAST_FREE {
        Finding::wrong(check, says, remedy)
    } else if free < LITTLE_FREE {
        Finding::warning(check, says, remedy)
    } else {
        Finding::ok(check, says)
    }
}

fn bits(found: &Metadata) -> u32 {
    found.mode() & 0o7777
}
