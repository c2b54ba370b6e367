use std::collections::BTreeSet;
use std::fs;

use super::{metrics, named, path, program, text, yaml};
use crate::clients::Tools;
use crate::process::run;

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    for arguments in [
        &["check", "rules", "alerts.yml"][..],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let Some(mut promtool) = program("ATTESTO_TEST_PROMTOOL") else { return };
        let (code, said, complaint) = run(promtool.args(arguments).current_dir(path("prometheus")), "").any();
        assert_eq!(code, Some(0), "{arguments:?}: {said}{complaint}");
    }
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let Some(tools) = Tools::find() else { return };
    let rules = yaml(&tools, "prometheus/alerts.yml");
    let rules = rules[0]["groups"][0]["rules"].as_array().unwrap();
    let tests = yaml(&tools, "prometheus/alerts_test.yml");
    let tested: BTreeSet<_> =
        tests[0]["tests"].as_array().unwrap().iter().map(|test| test["name"].as_str().unwrap()).collect();
    let page = fs::read_to_string(path("../docs/operations/monitor.md")).unwrap();
    assert_eq!(rules.len(), tested.len());
    for rule in rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(tested.contains(alert), "{alert} has no test");
        let (file, part) = rule["annotations"]["runbook"].as_str().unwrap().split_once('#').unwrap();
        assert_eq!(file, "docs/operations/monitor.md", "{alert}");
        let is_it = |title: &str| title.to_lowercase().replace(' ', "-") == part;
        let part = page.split("\n### ").find(|text| text.lines().next().is_some_and(is_it));
        let part = part.unwrap_or_else(|| panic!("{alert}: the page has no such part"));
        assert!(part.contains(&format!("`{alert}`")), "{alert} is not named where it leads to");
    }
}

#[test]
fn the_rules_name_metrics_that_are_there() {
    let rules: BTreeSet<_> = named(&text("prometheus/alerts.yml")).collect();
    assert!(rules.len() > 10);
    let missing: Vec<_> = rules.difference(&metrics()).cloned().collect();
    assert_eq!(missing, [""; 0]);
}
