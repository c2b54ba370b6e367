//! The architecture as a table: which crate may depend on which, and which crate alone may name a library.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::{self, Failure};
use crate::workspace::Workspace;

/// What a crate of this workspace may depend on, in any kind of dependency: arrows point down only.
const MAY_DEPEND_ON: [(&str, &[&str]); 8] = [
    ("attesto-token", &[]),
    ("attesto-verifier", &["attesto-token"]),
    ("attesto-core", &[]),
    ("attesto-keyring", &["attesto-core", "attesto-token"]),
    ("attesto-store", &["attesto-core"]),
    (
        "attesto-server",
        &["attesto-core", "attesto-keyring", "attesto-store", "attesto-token", "attesto-verifier"],
    ),
    (
        "attesto",
        &[
            "attesto-core",
            "attesto-keyring",
            "attesto-server",
            "attesto-store",
            "attesto-token",
            "attesto-verifier",
        ],
    ),
    ("xtask", &[]),
];

/// May depend on anything: nothing of it is shipped.
const BENCH: &str = "attesto-bench";

/// Libraries that only some crates may name. Tests may use them anywhere, as a second opinion.
const KEPT_UNDER: [(&str, &[&str]); 6] = [
    // Queries.
    ("diesel", &["attesto-store"]),
    ("diesel_migrations", &["attesto-store"]),
    ("libsqlite3-sys", &["attesto-store"]),
    // HTTP; the binary starts the server's runtime, and the verifier has an adapter for services.
    ("actix-web", &["attesto-server", "attesto", "attesto-verifier"]),
    // Private keys; the verifier uses the public half.
    ("jsonwebtoken", &["attesto-keyring"]),
    ("aws-lc-rs", &["attesto-keyring", "attesto-verifier"]),
];

/// What somebody who adds the verifier to a service does not get with it.
const NOT_IN_THE_VERIFIER: [(&[&str], &[&str]); 3] = [
    (&[], &["jsonwebtoken", "actix", "diesel", "chrono"]),
    (
        &["--no-default-features", "--features", "aws-lc"],
        &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "ring"],
    ),
    (
        &["--no-default-features", "--features", "ring"],
        &["jsonwebtoken", "actix", "diesel", "chrono", "tokio", "aws-lc"],
    ),
];

pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut wrong = wrong_arrows(&workspace.packages);
    for (features, unwanted) in NOT_IN_THE_VERIFIER {
        wrong.extend(unwanted_in(&verifier_tree(features)?, unwanted));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        wrong.join(", "),
        "move the code to where it belongs; crates/xtask/src/arrows.rs has the table",
    ))
}

fn wrong_arrows(packages: &Value) -> Vec<String> {
    let packages = packages.as_array().expect("cargo metadata lists packages");
    let ours: BTreeSet<_> = packages.iter().map(name).collect();
    let bound = packages.iter().filter(|package| name(package) != BENCH);
    bound.flat_map(|package| wrong_arrows_of(package, &ours)).collect()
}

fn wrong_arrows_of(package: &Value, ours: &BTreeSet<&str>) -> Vec<String> {
    let from = name(package);
    let Some((_, below)) = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == from) else {
        return vec![format!("{from} has no place in the architecture")];
    };
    let dependencies = package["dependencies"].as_array().expect("cargo metadata lists dependencies");
    let upward = dependencies
        .iter()
        .filter(|dependency| ours.contains(name(dependency)) && !below.contains(&name(dependency)));
    let misplaced = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev" && is_kept_from(from, name(dependency)));
    upward
        .chain(misplaced)
        .map(|dependency| format!("{from} must not depend on {}", name(dependency)))
        .collect()
}

fn is_kept_from(from: &str, library: &str) -> bool {
    KEPT_UNDER.iter().any(|(kept, owners)| *kept == library && !owners.contains(&from))
}

fn name(of: &Value) -> &str {
    of["name"].as_str().expect("cargo metadata names everything")
}

fn verifier_tree(features: &[&str]) -> Result<String, Failure> {
    let mut tree = command::cargo(["tree", "--locked", "--quiet", "--package", "attesto-verifier"]);
    command::output_of(
        tree.args(["--edges", "normal", "--prefix", "none"]).args(features),
        "commit a Cargo.lock that fits the manifests",
    )
}

/// `unwanted` names families: `actix` stands for `actix-web` too.
fn unwanted_in(tree: &str, unwanted: &[&str]) -> Vec<String> {
    let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let is_unwanted = |name: &&&str| unwanted.iter().any(|family| is_of(family, name));
    crates
        .iter()
        .filter(is_unwanted)
        .map(|name| format!("attesto-verifier must not bring in {name}"))
        .collect()
}

fn is_of(family: &str, name: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "dependencies": dependencies })
    }

    #[test]
    fn arrows_point_down() {
        let core = package("attesto-core", &[("serde", None)]);
        let store = package("attesto-store", &[("attesto-core", None), ("diesel", None)]);
        assert_eq!(wrong_arrows(&json!([core, store])), [""; 0]);

        let core = package("attesto-core", &[("attesto-store", None)]);
        assert_eq!(wrong_arrows(&json!([core, store])), ["attesto-core must not depend on attesto-store"]);

        let core = package("attesto-core", &[("attesto-store", Some("dev"))]);
        assert_eq!(wrong_arrows(&json!([core, store])), ["attesto-core must not depend on attesto-store"]);
    }

    #[test]
    fn a_library_stays_under_its_crate() {
        let server = package("attesto-server", &[("actix-web", None), ("diesel", None)]);
        assert_eq!(wrong_arrows(&json!([server])), ["attesto-server must not depend on diesel"]);

        let verifier = package("attesto-verifier", &[("jsonwebtoken", Some("dev")), ("aws-lc-rs", None)]);
        assert_eq!(wrong_arrows(&json!([verifier])), [""; 0], "a test may ask for a second opinion");

        let verifier = package("attesto-verifier", &[("jsonwebtoken", Some("build"))]);
        assert_eq!(wrong_arrows(&json!([verifier])), ["attesto-verifier must not depend on jsonwebtoken"]);

        let bench = package(BENCH, &[("diesel", None)]);
        assert_eq!(wrong_arrows(&json!([bench])), [""; 0]);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let stranger = package("attesto-utils", &[]);
        assert_eq!(wrong_arrows(&json!([stranger])), ["attesto-utils has no place in the architecture"]);
    }

    #[test]
    fn the_verifier_stays_thin() {
        let tree =
            "attesto-verifier v0.1.0 (crates/verifier)\nactix-rt v2.15.0\nactixish v1.0.0\nserde v1.0.0\n";
        assert_eq!(unwanted_in(tree, &["actix", "tokio"]), ["attesto-verifier must not bring in actix-rt"]);
    }
}
