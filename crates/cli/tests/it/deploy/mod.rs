//! What lies in `deploy`, judged by the programs that it is for, as far as they run here: its README says which do not.

mod containers;
mod dashboard;
mod prometheus;
mod systemd;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::authority::Authority;
use crate::clients::Tools;
use crate::process::{run, until};

/// All documents of a YAML file as one JSON array, references resolved. A name that stands twice is an error.
const YAML: &str = "
import json, sys, yaml
class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if key.tag != 'tag:yaml.org,2002:merge']
        assert len(names) == len(set(names)), f'twice: {names}'
        return super().construct_mapping(node, deep)
print(json.dumps(list(yaml.load_all(sys.stdin, Strict))))
";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap()
}

/// A program that `cargo xtask test` installs; nothing if somebody asked for a run without.
fn program(variable: &str) -> Option<Command> {
    Tools::find()?;
    let program = env::var(variable);
    Some(Command::new(
        program.unwrap_or_else(|_| panic!("{variable} is not set: run the tests with `cargo xtask test`")),
    ))
}

fn yaml(tools: &Tools, file: &str) -> Vec<Value> {
    let documents = run(Command::new(&tools.python).args(["-c", YAML]), &text(file)).done();
    serde_json::from_str(&documents).unwrap()
}

/// The names of all samples that servers have: one on SQLite without TLS, and what others have instead.
fn metrics() -> BTreeSet<String> {
    let authority = Authority::dev();
    let server = authority.start();
    let text = until("the sessions are counted", || {
        let text = server.get("/metrics").body;
        text.contains("\nattesto_sessions ").then_some(text)
    });
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let on_postgres =
        ["used", "limit", "waiting"].map(|which| format!("attesto_database_connections_{which}"));
    let with_tls =
        ["not_after_timestamp_seconds", "is_behind"].map(|what| format!("attesto_tls_certificate_{what}"));
    samples.map(|line| named(line).next().unwrap()).chain(on_postgres).chain(with_tls).collect()
}

/// The metrics of ours that are named in a text.
fn named(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("attesto_")).map(str::to_owned)
}
