use serde_json::{Value, json};

use super::{instant, key, kid_of, members, start, text};
use crate::authority::{Authority, CONFIGURATION};

const MINUTE: i64 = 60 * 1000;

const DAY: i64 = 24 * 60 * MINUTE;

#[test]
fn the_timetable_of_the_next_rotation() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let (active, staged) = (kid_of(&authority, "active"), kid_of(&authority, "staged"));
    let begun = instant(&key(&authority, &active)["active_at"]);

    let plan = authority.json(&["keys", "plan"]);
    let (of_tokens, of_feed): (Vec<_>, Vec<_>) =
        plan.as_array().unwrap().iter().partition(|step| step["purpose"] == "token");
    let steps: Vec<_> = of_tokens.iter().map(|step| described(step, begun)).collect();
    // Two lifetimes of access tokens ahead, five minutes of caches, ten seconds of confirmation.
    let retired = 30 * DAY + 20 * MINUTE + 310_000;
    let expected = [
        (30 * DAY, "promote", json!(staged)),
        (30 * DAY, "demote", json!(active)),
        (30 * DAY, "stage", Value::Null),
        (retired, "retire", json!(active)),
        (retired + 10_000, "destroy", json!(active)),
    ];
    assert_eq!(steps, expected.clone().map(|(after, step, kid)| (after, step.to_owned(), kid)));
    for (steps, line) in [(&of_tokens, ("token", "RS256")), (&of_feed, ("feed", "ES256"))] {
        assert_eq!(steps.len(), expected.len());
        for step in steps {
            assert_eq!(members(step), ["algorithm", "at", "kid", "purpose", "step"]);
            assert_eq!((text(&step["purpose"]).as_str(), text(&step["algorithm"]).as_str()), line);
        }
    }
}

fn described(step: &Value, begun: i64) -> (i64, String, Value) {
    (instant(&step["at"]) - begun, step["step"].as_str().unwrap().to_owned(), step["kid"].clone())
}

#[test]
fn the_picture_for_people() {
    let authority = Authority::dev();
    let server = start(&authority);
    let said = authority.run(&["keys", "plan"]).done();
    let (picture, table) = said.split_once("\n\n").expect("a picture, then the rest");
    assert!(picture.is_ascii() && picture.lines().all(|line| line.len() <= 100), "{picture}");
    let lines: Vec<_> = picture.lines().collect();
    let [now, line, active, staged, new, feed, _, _, _, axis] = lines[..] else { panic!("{picture}") };
    assert_eq!((now.trim(), line, feed), ("v now", "token RS256", "feed ES256"));
    assert!(active.starts_with(&kid_of(&authority, "active")[..8]), "{picture}");
    assert!(active.contains("####") && active.ends_with("#~"), "{picture}");
    assert!(staged.starts_with(&kid_of(&authority, "staged")[..8]), "{picture}");
    assert!(staged.contains("....") && staged.ends_with(".#"), "{picture}");
    assert!(new.starts_with("(new)") && new.ends_with(" ."), "{picture}");
    assert_eq!(axis.split_whitespace().count(), 2, "{picture}");

    assert!(table.contains(".... published   #### signs   ~~~~ retiring"), "{table}");
    let steps = ["promote", "demote", "stage", "retire", "destroy"];
    let places: Vec<_> = steps.iter().map(|step| table.find(&format!("┆ {step} "))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{table}");
    assert!(!table.contains("No server runs"), "{table}");

    server.stop();
    let said = authority.run(&["keys", "plan"]).done();
    assert!(said.contains("No server runs: nothing happens by itself before one does."), "{said}");
}
