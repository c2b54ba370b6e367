//! The sets of features with which a published crate is checked, from its manifest: none can be forgotten.

use serde_json::Value;

/// A published crate does nothing without one of them.
const BACKENDS: [&str; 3] = ["aws-lc", "ring", "sha2"];

/// Stands beside a feature that is none.
const BACKEND: &str = "ring";

/// Each feature alone.
pub(crate) fn each_alone(package: &Value) -> Vec<String> {
    let alone = |feature: &str| {
        if BACKENDS.contains(&feature) { feature.to_owned() } else { format!("{BACKEND},{feature}") }
    };
    features(package).map(alone).collect()
}

/// All of them together, except for one.
pub(crate) fn all_but(package: &Value, left_out: &str) -> String {
    features(package).filter(|feature| *feature != left_out).collect::<Vec<_>>().join(",")
}

fn features(package: &Value) -> impl Iterator<Item = &str> {
    let features = package["features"].as_object().expect("cargo metadata lists features");
    features.keys().map(String::as_str).filter(|feature| *feature != "default")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_feature_of_the_manifest_has_its_turn() {
        let package = json!({ "features": { "default": ["aws-lc"], "aws-lc": [], "ring": [], "tower": [], "ureq": [] } });
        assert_eq!(each_alone(&package), ["aws-lc", "ring", "ring,tower", "ring,ureq"]);
        assert_eq!(all_but(&package, "aws-lc"), "ring,tower,ureq");
    }
}
