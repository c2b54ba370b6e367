//! `/metrics`, read by the parser of Prometheus's own Python library, which refuses what is not allowed.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::clients::Tools;
use crate::process::{run, until};

/// What it found: of each family its type and how many samples there are.
const READ: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(json.dumps({family.name: [family.type, len(family.samples)] for family in families(sys.stdin.read())}))
";

#[test]
fn the_openmetrics_are_what_prometheus_reads() {
    let Some(tools) = Tools::find() else { return };
    let read = |text: &str| run(Command::new(&tools.python).args(["-c", READ]), text);
    let authority = Authority::dev();
    let server = authority.start();
    let nothing_ended = server.get("/metrics").body;
    assert_eq!(server.blacklist(&server.sign_in().refresh).status, 200);
    let one_ended = until("the end is published", || {
        let text = server.get("/metrics").body;
        text.contains("attesto_feed_newest_record_age_seconds ").then_some(text)
    });
    for (text, newest) in [(&nothing_ended, Value::Null), (&one_ended, json!(["gauge", 1]))] {
        let families: BTreeMap<String, Value> = serde_json::from_str(&read(text).done()).unwrap();
        for (family, expected) in [
            ("attesto_build_info", json!(["gauge", 1])),
            ("attesto_feed_seq", json!(["gauge", 1])),
            ("attesto_feed_records", json!(["gauge", 6])),
            ("attesto_feed_answers", json!(["counter", 3])),
            ("attesto_feed_answer_bytes", json!(["counter", 1])),
            ("attesto_feed_read_age_seconds", json!(["gauge", 1])),
            ("attesto_keys", json!(["gauge", 4])),
            ("attesto_key_active_age_seconds", json!(["gauge", 2])),
            // Of each of twelve routes thirteen bounds, the rest, count and sum.
            ("attesto_http_request_duration_seconds", json!(["histogram", 192])),
            ("attesto_sqlite_commit_changes", json!(["histogram", 10])),
            ("attesto_sqlite_commit_duration_seconds", json!(["histogram", 13])),
            ("attesto_tokens_issued", json!(["counter", 6])),
            ("attesto_refusals", json!(["counter", 9])),
            ("attesto_password_hashes_rejected", json!(["counter", 1])),
        ] {
            assert_eq!(families.get(family), Some(&expected), "{family}: {families:?}");
        }
        assert_eq!(families.get("attesto_feed_newest_record_age_seconds").unwrap_or(&Value::Null), &newest);
    }
    let (cut, _) = one_ended.rsplit_once("# EOF").unwrap();
    assert_eq!(read(cut).any().0, Some(1), "it does look");
}
