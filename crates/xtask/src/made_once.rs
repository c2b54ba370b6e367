use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::command::Failure;

/// A folder that `make` fills, unless it has been filled from the same recipe before.
///
/// The recipe is everything that decides what ends up in the folder: versions, lock files, the interpreter. What a
/// failed attempt leaves behind is thrown away by the next one.
pub(crate) fn made_once(
    folder: &Path,
    recipe: &str,
    make: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let unusable = |error: io::Error| {
        Failure::new(
            format!("{} cannot be used ({error})", folder.display()),
            "make it writable, or remove it",
        )
    };
    fs::create_dir_all(folder.parent().expect("a tool has a folder of its own")).map_err(unusable)?;
    let _only_one_makes_it = lock(&folder.with_extension("lock")).map_err(unusable)?;

    let stamp = folder.join(".made-from");
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == recipe) {
        return Ok(folder.to_owned());
    }
    println!("    setting up {}, once", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(unusable)?;
    }
    fs::create_dir(folder).map_err(unusable)?;
    make(folder)?;
    fs::write(stamp, recipe).map_err(unusable)?;
    Ok(folder.to_owned())
}

/// Held until the file is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(name: &str) -> impl FnOnce(&Path) -> Result<(), Failure> {
        move |folder| {
            fs::write(folder.join(name), "").unwrap();
            Ok(())
        }
    }

    #[test]
    fn makes_again_only_for_another_recipe() {
        let tools = tempfile::tempdir().unwrap();
        let folder = tools.path().join("tool");

        made_once(&folder, "1.0", leave("old")).unwrap();
        made_once(&folder, "1.0", |_| panic!("it is there already")).unwrap();
        made_once(&folder, "1.1", leave("new")).unwrap();

        assert!(folder.join("new").exists());
        assert!(!folder.join("old").exists());
    }

    #[test]
    fn a_failed_attempt_does_not_count() {
        let tools = tempfile::tempdir().unwrap();
        let folder = tools.path().join("tool");

        let attempt = made_once(&folder, "1.0", |folder| {
            leave("half")(folder)?;
            Err(Failure::new("the registry is away", "try again"))
        });
        assert!(attempt.is_err());
        made_once(&folder, "1.0", leave("whole")).unwrap();

        assert!(folder.join("whole").exists());
        assert!(!folder.join("half").exists());
    }
}
