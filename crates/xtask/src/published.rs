//! What holds of the published crates: few packages come along, an older Rust will do, and cargo can pack them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::command::{self, Failure};
use crate::workspace::{self, Workspace, name};

/// What somebody who adds the verifier to a service gets with it, and does not.
struct Bound {
    features: &'static [&'static str],
    at_most: usize,
    /// Families: `actix` stands for `actix-web` too.
    without: &'static [&'static str],
}

const NO_DEFAULT: &str = "--no-default-features";

const VERIFIER: [Bound; 5] = [
    Bound { features: &[], at_most: 110, without: &["jsonwebtoken", "actix", "diesel", "chrono"] },
    Bound {
        features: &[NO_DEFAULT, "--features=aws-lc,ureq"],
        at_most: 45,
        without: &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "ring"],
    },
    Bound {
        features: &[NO_DEFAULT, "--features=ring,ureq"],
        at_most: 45,
        without: &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "aws-lc"],
    },
    Bound {
        features: &[NO_DEFAULT, "--features=aws-lc"],
        at_most: 25,
        without: &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "ring"],
    },
    Bound {
        features: &[NO_DEFAULT, "--features=ring"],
        at_most: 25,
        without: &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "aws-lc"],
    },
];

pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    bounds()?;
    rust_versions(workspace)?;
    packages(workspace)
}

fn bounds() -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for bound in VERIFIER {
        let tree = verifier_tree(bound.features)?;
        let packages = brought_by(&tree);
        println!("    {} packages with {}", packages.len(), shown(bound.features));
        wrong.extend(breaches(&packages, &bound));
    }
    fail_on(&wrong, "do without that crate; crates/xtask/src/published.rs has the bounds")
}

fn verifier_tree(features: &[&str]) -> Result<String, Failure> {
    let mut tree = command::cargo(["tree", "--locked", "--quiet", "--package", "attesto-verifier"]);
    command::output_of(
        tree.args(["--edges", "normal", "--prefix", "none"]).args(features),
        "commit a Cargo.lock that fits the manifests",
    )
}

/// Name and version of what comes along: each once, and not the crate itself, which is the first line.
fn brought_by(tree: &str) -> BTreeSet<(&str, &str)> {
    tree.lines().skip(1).filter_map(name_and_version).collect()
}

fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?))
}

fn breaches(packages: &BTreeSet<(&str, &str)>, bound: &Bound) -> Vec<String> {
    let with = shown(bound.features);
    let unwanted = packages.iter().filter(|(name, _)| bound.without.iter().any(|family| is_of(family, name)));
    let mut breaches: Vec<_> =
        unwanted.map(|(name, _)| format!("attesto-verifier must not bring in {name} with {with}")).collect();
    if packages.len() > bound.at_most {
        breaches.push(format!(
            "attesto-verifier brings in {} packages with {with}, and {} are allowed",
            packages.len(),
            bound.at_most,
        ));
    }
    breaches
}

fn is_of(family: &str, name: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

fn shown(features: &[&str]) -> String {
    if features.is_empty() { "default features".to_owned() } else { features.join(" ") }
}

fn rust_versions(workspace: &Workspace) -> Result<(), Failure> {
    let metadata = workspace::metadata(&["--locked", "--all-features"])?;
    let published = workspace.published().map(name);
    let wrong: Vec<_> = published.flat_map(|published| too_new_for(published, &metadata)).collect();
    fail_on(
        &wrong,
        "take an older version of it, or raise `rust-version` in Cargo.toml and say so in the changelog",
    )
}

/// What is built with a crate of this workspace, with any of its features on any platform, and needs a newer Rust than
/// the crate promises.
fn too_new_for(published: &str, metadata: &Value) -> Vec<String> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let is_ours = |package: &&&Value| name(package) == published && package["source"].is_null();
    let crate_itself = packages.values().find(is_ours).expect("cargo metadata lists what it was asked about");
    let promised = rust_version(crate_itself);

    let mut seen = BTreeSet::new();
    let mut to_see = vec![id(crate_itself)];
    while let Some(id) = to_see.pop() {
        if seen.insert(id) {
            to_see.extend(built_with(nodes[id]));
        }
    }
    let too_new = seen.into_iter().map(|id| packages[id]).filter(|package| rust_version(package) > promised);
    too_new
        .map(|package| {
            let (name, needs) = (name(package), package["rust_version"].as_str().unwrap_or_default());
            format!("{name} needs Rust {needs}, which is more than {published} promises")
        })
        .collect()
}

/// Everything but what only tests use.
fn built_with(node: &Value) -> impl Iterator<Item = &str> {
    let dependencies = node["deps"].as_array().expect("cargo metadata lists dependencies");
    let kinds = |dependency: &Value| dependency["dep_kinds"].as_array().cloned().unwrap_or_default();
    dependencies
        .iter()
        .filter(move |dependency| kinds(dependency).iter().any(|kind| kind["kind"] != "dev"))
        .map(|dependency| dependency["pkg"].as_str().expect("cargo metadata names everything"))
}

fn by_id(values: &Value) -> BTreeMap<&str, &Value> {
    values.as_array().expect("cargo metadata lists packages").iter().map(|value| (id(value), value)).collect()
}

fn id(of: &Value) -> &str {
    of["id"].as_str().expect("cargo metadata names everything")
}

/// A crate that promises nothing works with any.
fn rust_version(package: &Value) -> [u32; 3] {
    let mut parts = [0; 3];
    let numbers = package["rust_version"].as_str().unwrap_or_default().split('.');
    for (part, number) in parts.iter_mut().zip(numbers) {
        *part = number.parse().unwrap_or_default();
    }
    parts
}

/// Cargo can pack them. That they also build from it takes minutes: see `release.rs`.
fn packages(workspace: &Workspace) -> Result<(), Failure> {
    let mut package = command::cargo(["package", "--quiet", "--no-verify", "--allow-dirty", "--locked"]);
    let published = workspace.published().flat_map(|package| ["--package", name(package)]);
    command::run(package.args(published), "mend that crate's Cargo.toml")
}

fn fail_on(wrong: &[String], remedy: &str) -> Result<(), Failure> {
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join(", "), remedy)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TREE: &str = "\
attesto-verifier v0.4.0 (crates/verifier)
actix-rt v2.15.0
actixish v1.0.0
actixish v1.1.0
serde v1.0.0
serde_derive v1.0.0 (proc-macro)
serde_derive v1.0.0 (proc-macro) (*)
";

    fn breaches_of(at_most: usize, without: &'static [&'static str]) -> Vec<String> {
        breaches(&brought_by(TREE), &Bound { features: &[], at_most, without })
    }

    #[test]
    fn each_version_counts_once() {
        assert_eq!(breaches_of(5, &[]), [""; 0]);
        assert_eq!(
            breaches_of(4, &[]),
            ["attesto-verifier brings in 5 packages with default features, and 4 are allowed"]
        );
    }

    #[test]
    fn the_verifier_stays_thin() {
        assert_eq!(
            breaches_of(5, &["actix", "serde_derive", "tokio"]),
            [
                "attesto-verifier must not bring in actix-rt with default features",
                "attesto-verifier must not bring in serde_derive with default features",
            ]
        );
    }

    #[test]
    fn the_rust_version_holds_for_what_comes_along() {
        let metadata = |of_the_deepest: &str, kind: Option<&str>| {
            let edge = |to: &str| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] });
            json!({
                "packages": [
                    { "id": "ours", "name": "ours", "source": null, "rust_version": "1.89" },
                    { "id": "between", "name": "between", "source": "x", "rust_version": null },
                    { "id": "deep", "name": "deep", "source": "x", "rust_version": of_the_deepest },
                ],
                "resolve": { "nodes": [
                    { "id": "ours", "deps": [edge("between")] },
                    { "id": "between", "deps": [edge("deep")] },
                    { "id": "deep", "deps": [] },
                ] },
            })
        };
        let too_new = ["deep needs Rust 1.89.1, which is more than ours promises"];
        assert_eq!(too_new_for("ours", &metadata("1.89.0", None)), [""; 0]);
        assert_eq!(too_new_for("ours", &metadata("1.9", None)), [""; 0]);
        assert_eq!(too_new_for("ours", &metadata("1.89.1", None)), too_new);
        assert_eq!(too_new_for("ours", &metadata("1.89.1", Some("build"))), too_new);
        assert_eq!(too_new_for("ours", &metadata("1.89.1", Some("dev"))), [""; 0]);
    }
}
