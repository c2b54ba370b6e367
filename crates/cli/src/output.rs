use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};
use std::time::Duration;

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
        say(&table(header, items.iter().map(row)))
    }

    /// One of many that come one after the other: a line, or a JSON object on a line.
    pub fn line<T: Serialize>(self, item: &T, line: &str) -> Result<(), Failure> {
        if self.json { print(&json_text(serde_json::to_string(item))?) } else { say(line) }
    }

    /// One thing that was done: a sentence, or a JSON object.
    pub fn done(self, sentence: &str, object: &Value) -> Result<(), Failure> {
        if self.json {
            return print_json(object);
        }
        say(sentence)
    }
}

/// As wide as the terminal allows. What stands in a cell may be anybody's.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows = rows.into_iter().map(|row| row.iter().map(|cell| presentable(cell)).collect::<Vec<_>>());
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header)
        .add_rows(rows);
    table.to_string()
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

/// For a sentence: the instant, and how far away it is.
pub fn until(instant: Instant, now: Instant) -> String {
    format!("{} (in {})", rfc3339(instant), in_words(instant.since(now)))
}

/// A duration to the second, or less exactly if it is long: `20m 59s`, `3d 4h`. Rounded up: whoever waits for it does
/// not come too early.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let words = units[first..].iter().take(2).filter(|(_, count)| *count > 0);
    let words: Vec<_> = words.map(|(unit, count)| format!("{count}{unit}")).collect();
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

/// A text that may be anybody's, on one line and without what a terminal would obey.
pub fn presentable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { line.extend(character.escape_debug()) } else { line.push(character) }
    }
    line
}

/// The same of each line.
pub fn presentable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(presentable).collect();
    lines.join("\n")
}

/// How wide a picture may be.
pub fn terminal_width() -> usize {
    const ELSEWHERE: usize = 100;
    let is_terminal = stdout().is_terminal();
    let size = terminal_size::terminal_size_of(stdout()).filter(|_| is_terminal);
    size.map_or(ELSEWHERE, |(width, _)| usize::from(width.0))
}

/// A whole answer in JSON.
pub fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    print(&json_text(serde_json::to_string_pretty(value))?)
}

fn json_text(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|cause| Failure::new(cause.to_string()))
}

/// Says something to people, in which names may be anybody's.
pub fn say(lines: &str) -> Result<(), Failure> {
    print(&presentable_lines(lines))
}

/// Writes a text to standard output as it is, and ends the line. Whoever closed it, as `head` does, has seen enough; an
/// answer that is lost in any other way, a client's only secret perhaps, is a failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match writeln!(stdout(), "{text}").and_then(|()| stdout().flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the answer cannot be written ({cause}); what was asked for is done")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_to_the_second_and_never_too_short() {
        let table = [
            (0, "0s"),
            (1, "1s"),
            (1_000, "1s"),
            (1_001, "2s"),
            (59_999, "1m"),
            (61_000, "1m 1s"),
            (1_259_000, "20m 59s"),
            (3_600_000, "1h"),
            (3_601_000, "1h"),
            (3_660_000, "1h 1m"),
            (86_400_000, "1d"),
            (187_200_000, "2d 4h"),
            (34_560_000_000, "400d"),
        ];
        for (millis, words) in table {
            assert_eq!(in_words(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn a_terminal_obeys_nobody_elses_text() {
        assert_eq!(presentable("kid-_09"), "kid-_09");
        assert_eq!(presentable("a\u{1b}[2J\n\u{9b}\"é\""), "a\\u{1b}[2J\\n\\u{9b}\"é\"");
        assert!(table(&["id"], [vec!["a\nb".to_owned()]]).contains("a\\nb"));
    }
}
