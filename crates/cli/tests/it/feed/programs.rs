//! The programs of `docs/feed`, as somebody has them who took them away.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::paths_in;
use crate::clients::Tools;
use crate::process::Outcome;

/// Copies of them, beside the libraries that they need.
pub(super) struct Programs {
    tools: Tools,
    folder: TempDir,
}

impl Programs {
    /// Nothing if somebody asked for a run without the real clients.
    pub(super) fn find() -> Option<Self> {
        let tools = Tools::find()?;
        let folder = tempfile::tempdir().unwrap();
        for path in paths_in(&docs()).into_iter().filter(|path| path.is_file()) {
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let modules = std::env::var("ATTESTO_TEST_NODE_MODULES").unwrap();
        symlink(modules, folder.path().join("node_modules")).unwrap();
        Some(Self { tools, folder })
    }

    /// Puts one more beside them.
    pub(super) fn add(&self, file: &str, program: &str) {
        fs::write(self.folder.path().join(file), program).unwrap();
    }

    /// One of them, still to be run: `NAME.py` by Python, `NAME.mjs` by Node.js.
    pub(super) fn command(&self, file: &str) -> Command {
        let is_python = Path::new(file).extension().is_some_and(|extension| extension == "py");
        let interpreter = if is_python { &self.tools.python } else { &self.tools.node };
        let mut command = Command::new(interpreter);
        command.arg(self.folder.path().join(file));
        command
    }

    /// Hands each value over on a line of its own, and reads as many lines back.
    pub(super) fn ask(&self, file: &str, lines: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let input: Vec<_> = lines.into_iter().map(|line| format!("{line}\n")).collect();
        // From a file: a pipe would be full before the first answer is read.
        let asked = self.folder.path().join("asked");
        fs::write(&asked, input.concat()).unwrap();
        let said = self.command(file).stdin(File::open(asked).unwrap()).output().unwrap();
        let said = Outcome::from(said).done();
        let answers: Vec<_> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), input.len(), "{file}");
        answers
    }
}

/// A file of `docs/feed`.
pub(super) fn documented(file: &str) -> String {
    fs::read_to_string(docs().join(file)).unwrap_or_else(|cause| panic!("{file}: {cause}"))
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/feed")
}
