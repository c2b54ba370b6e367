use std::io::{ErrorKind, Write as _, stdout};

use attesto_core::Instant;
use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// How a command answers: tables for people, JSON for programs.
#[derive(Clone, Copy)]
pub struct Output {
    /// JSON.
    pub json: bool,
}

impl Output {
    /// A list: one row each, or one JSON array.
    pub fn list<T: Serialize>(
        self,
        items: &[T],
        header: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        if self.json {
            return print_json(&items);
        }
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header);
        for item in items {
            table.add_row(row(item));
        }
        say(&table.to_string())
    }

    /// One thing that was done: a sentence, or a JSON object.
    pub fn done(self, sentence: &str, object: &Value) -> Result<(), Failure> {
        if self.json {
            return print_json(object);
        }
        say(sentence)
    }
}

/// RFC 3339, in UTC.
pub fn rfc3339(instant: Instant) -> String {
    DateTime::<Utc>::from_timestamp_millis(instant.as_millis())
        .map_or_else(|| instant.as_millis().to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// For a cell: the instant, or nothing.
pub fn cell(instant: Option<&String>) -> String {
    instant.cloned().unwrap_or_default()
}

fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|cause| Failure::new(cause.to_string()))?;
    say(&text)
}

/// Writes a line to standard output. Whoever closed it, as `head` does, has seen enough; an answer that is lost in any
/// other way, a client's only secret perhaps, is a failure.
pub fn say(line: &str) -> Result<(), Failure> {
    match writeln!(stdout(), "{line}").and_then(|()| stdout().flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the answer cannot be written ({cause}); what was asked for is done")))
        }
        _ => Ok(()),
    }
}
