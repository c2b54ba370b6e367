use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{metrics, named, text};

#[test]
fn the_dashboard_can_be_imported_and_shows_metrics_that_are_there() {
    let dashboard: Value = serde_json::from_str(&text("grafana/attesto.json")).unwrap();
    assert_eq!((&dashboard["uid"], &dashboard["title"]), (&json!("attesto"), &json!("Attesto")));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&json!("datasource"), &json!("datasource")));

    let panels = dashboard["panels"].as_array().unwrap();
    let identifiers: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(identifiers.len(), panels.len());
    let mut shown = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let (title, targets) = (&panel["title"], panel["targets"].as_array().unwrap());
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let before = shown.len();
            shown.extend(named(target["expr"].as_str().unwrap()));
            assert!(
                shown.len() > before || named(target["expr"].as_str().unwrap()).next().is_some(),
                "{title}"
            );
        }
    }
    let there = metrics();
    assert_eq!(shown.difference(&there).collect::<Vec<_>>(), [""; 0]);
    // What nobody has to look at all day.
    let hidden = [
        "feed_snapshot_bytes",
        "feed_waiters_limit",
        "feed_newest_record_age_seconds",
        "feed_answer_bytes_total",
        "feed_signatures_total",
    ];
    let counts = |name: &str| ["_sum", "_count", "_bucket"].iter().any(|part| name.ends_with(part));
    let forgotten: Vec<_> = there
        .difference(&shown)
        .filter(|name| !counts(name) && !hidden.iter().any(|hidden| name.ends_with(hidden)))
        .collect();
    assert_eq!(forgotten, [""; 0]);
}
