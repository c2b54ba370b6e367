//! The architecture as a table: which crate may depend on which, and which crate alone may name a library.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::Failure;
use crate::workspace::{Workspace, name};

/// What a crate of this workspace may depend on, in any kind of dependency: arrows point down only.
const MAY_DEPEND_ON: [(&str, &[&str]); 9] = [
    ("attesto-token", &[]),
    ("attesto-verifier", &["attesto-token"]),
    ("attesto-core", &[]),
    ("attesto-keyring", &["attesto-core", "attesto-token"]),
    ("attesto-store", &["attesto-cluster", "attesto-core"]),
    (
        "attesto-server",
        &[
            "attesto-cluster",
            "attesto-core",
            "attesto-keyring",
            "attesto-store",
            "attesto-token",
            "attesto-verifier",
        ],
    ),
    (
        "attesto",
        &[
            "attesto-cluster",
            "attesto-core",
            "attesto-keyring",
            "attesto-server",
            "attesto-store",
            "attesto-token",
            "attesto-verifier",
        ],
    ),
    ("attesto-cluster", &[]),
    ("xtask", &["attesto-cluster"]),
];

/// May depend on anything: nothing of it is shipped.
const BENCH: &str = "attesto-bench";

/// Libraries that only some crates may name. Tests may use them anywhere, as a second opinion.
const KEPT_UNDER: [(&str, &[&str]); 7] = [
    // Servers for tests; xtask starts one for all of them.
    ("attesto-cluster", &["xtask"]),
    // Queries.
    ("diesel", &["attesto-store"]),
    ("diesel_migrations", &["attesto-store"]),
    ("libsqlite3-sys", &["attesto-store"]),
    // HTTP; the binary starts the server's runtime, and the verifier has an adapter for services.
    ("actix-web", &["attesto-server", "attesto", "attesto-verifier"]),
    // Private keys; the verifier uses the public half, and tokens are digested.
    ("jsonwebtoken", &["attesto-keyring"]),
    ("aws-lc-rs", &["attesto-keyring", "attesto-token", "attesto-verifier"]),
];

pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let wrong = wrong_arrows(&workspace.packages);
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

        let store = package("attesto-store", &[("attesto-cluster", Some("dev"))]);
        assert_eq!(wrong_arrows(&json!([store, package("attesto-cluster", &[])])), [""; 0]);

        let store = package("attesto-store", &[("attesto-cluster", None)]);
        assert_eq!(wrong_arrows(&json!([store])), ["attesto-store must not depend on attesto-cluster"]);

        let bench = package(BENCH, &[("diesel", None)]);
        assert_eq!(wrong_arrows(&json!([bench])), [""; 0]);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let stranger = package("attesto-utils", &[]);
        assert_eq!(wrong_arrows(&json!([stranger])), ["attesto-utils has no place in the architecture"]);
    }
}
