//! To whom the files of a database belong: nobody else can open them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

use rustix::process::{Uid, geteuid};

use super::backup::folder_of;
use crate::error::OpenError;
use crate::url::SqliteUrl;

/// What root has made is for a server that is somebody else, as the folder says. Where that cannot be had, whoever cannot open the
/// file is told why.
pub(super) fn give_to_owner_of_folder(new: &Path) {
    if !geteuid().is_root() {
        return;
    }
    if let Ok(folder) = fs::metadata(folder_of(new)) {
        // That owner can put a link in its place, which may lead anywhere: it is not followed.
        let _ = lchown(new, Some(folder.uid()), Some(folder.gid()));
    }
}

/// A database that cannot be opened. SQLite does not say that a file is somebody else's.
pub(super) fn unreachable(url: &SqliteUrl, cause: &impl ToString) -> OpenError {
    let files = [url.path().to_owned(), url.beside("-wal"), url.beside("-shm"), url.beside(".lock")];
    match files.iter().find_map(|file| somebody_elses(file, geteuid())) {
        Some(explanation) => OpenError::unreachable(url, &explanation),
        None => OpenError::unreachable(url, cause),
    }
}

/// Says to whom a file belongs, unless `user`, a group or everybody may read and write it.
fn somebody_elses(file: &Path, user: Uid) -> Option<String> {
    let found = fs::metadata(file).ok()?;
    let is_open_to = |who: u32| found.mode() & who == who;
    if user.is_root() || found.uid() == user.as_raw() || is_open_to(0o060) || is_open_to(0o006) {
        return None;
    }
    let (owner, mode, user) = (found.uid(), found.mode() & 0o7777, user.as_raw());
    let file = file.display();
    Some(format!(
        "{file} belongs to user {owner} (mode {mode:04o}), and this is user {user}; do this as that user, or, if the server is this \
         one, chown {user} {file}"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_a_file_that_is_closed_to_a_user_is_explained_to_him() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owner = file.as_file().metadata().unwrap().uid();
        let user = |user| Uid::from_raw(user);
        for (mode, asking, is_explained) in [
            (0o600, owner + 1, true),
            (0o640, owner + 1, true),
            (0o660, owner + 1, false),
            (0o606, owner + 1, false),
            (0o600, owner, false),
            (0o600, 0, false),
        ] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let explanation = somebody_elses(file.path(), user(asking));
            assert_eq!(explanation.is_some(), is_explained, "{mode:04o} {asking}: {explanation:?}");
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let line = somebody_elses(file.path(), user(owner + 1)).unwrap();
        let (path, other) = (file.path().display(), owner + 1);
        assert!(line.starts_with(&format!("{path} belongs to user {owner} (mode 0600)")), "{line}");
        assert!(line.ends_with(&format!("chown {other} {path}")), "{line}");
    }
}
