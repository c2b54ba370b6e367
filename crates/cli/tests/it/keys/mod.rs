//! `attesto keys`, each command with and without a server beside it.

mod list;

use std::collections::BTreeSet;

use serde_json::Value;

/// The names of an object's members, in order.
fn members(object: &Value) -> Vec<&str> {
    let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// The `kid` of every key in a list, or in a JWK Set.
fn kids(keys: &Value) -> BTreeSet<String> {
    keys.as_array().unwrap().iter().map(|key| text(&key["kid"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
