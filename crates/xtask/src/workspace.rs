use std::path::PathBuf;

use serde_json::Value;

use crate::command::{self, Failure};

/// What cargo knows about this repository.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The `packages` of `cargo metadata`: the crates of this workspace with their declared dependencies.
    pub(crate) packages: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, Failure> {
        let metadata = command::output_of(
            &mut command::cargo(["metadata", "--format-version", "1", "--no-deps"]),
            "run it inside the repository, with manifests that cargo can read",
        )?;
        let mut metadata: Value =
            serde_json::from_str(&metadata).expect("cargo metadata prints one JSON document");
        Ok(Self {
            root: folder(&metadata["workspace_root"]),
            target: folder(&metadata["target_directory"]),
            packages: metadata["packages"].take(),
        })
    }
}

fn folder(value: &Value) -> PathBuf {
    value.as_str().expect("cargo metadata names its folders").into()
}
