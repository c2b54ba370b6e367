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
        let mut metadata = metadata(&["--no-deps"])?;
        Ok(Self {
            root: folder(&metadata["workspace_root"]),
            target: folder(&metadata["target_directory"]),
            packages: metadata["packages"].take(),
        })
    }

    /// Those of its packages that others can depend on.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Value> {
        // An empty list of registries is how cargo says `publish = false`.
        let is_published =
            |package: &&Value| package["publish"].as_array().is_none_or(|list| !list.is_empty());
        self.all_packages().filter(is_published)
    }

    pub(crate) fn package(&self, named: &str) -> &Value {
        self.all_packages().find(|package| name(package) == named).expect("our crates keep their names")
    }

    fn all_packages(&self) -> impl Iterator<Item = &Value> {
        self.packages.as_array().expect("cargo metadata lists packages").iter()
    }
}

pub(crate) fn metadata(arguments: &[&str]) -> Result<Value, Failure> {
    let mut metadata = command::cargo(["metadata", "--format-version", "1"]);
    let metadata = command::output_of(
        metadata.args(arguments),
        "run it inside the repository, with manifests and a Cargo.lock that cargo can read",
    )?;
    Ok(serde_json::from_str(&metadata).expect("cargo metadata prints one JSON document"))
}

/// Of a package or a dependency.
pub(crate) fn name(of: &Value) -> &str {
    of["name"].as_str().expect("cargo metadata names everything")
}

fn folder(value: &Value) -> PathBuf {
    value.as_str().expect("cargo metadata names its folders").into()
}
