use std::io::{IsTerminal as _, stdout};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use serde::Serialize;

use crate::output::presentable;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It does not work, or is not safe.
    Wrong,
}

/// What was found.
#[derive(Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    check: &'static str,
    says: String,
    remedy: Option<String>,
}

/// All of them.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, says: String) -> Self {
        Self { verdict: Verdict::Ok, check, says, remedy: None }
    }

    /// It works, and should be looked at.
    pub fn warning(check: &'static str, says: String, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, check, says, remedy: Some(remedy.into()) }
    }

    /// It does not work, or is not safe.
    pub fn wrong(check: &'static str, says: String, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, check, says, remedy: Some(remedy.into()) }
    }
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many are as bad as that.
    pub fn of(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// For people; in colours on a terminal.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["", "check", "found", "what to do"]);
        let is_terminal = stdout().is_terminal();
        for Finding { verdict, check, says, remedy } in &self.0 {
            let mark = if is_terminal { verdict.cell().fg(verdict.color()) } else { verdict.cell() };
            let remedy = remedy.as_deref().unwrap_or_default();
            table.add_row([
                mark,
                Cell::new(check),
                Cell::new(presentable(says)),
                Cell::new(presentable(remedy)),
            ]);
        }
        table.to_string()
    }
}

impl Verdict {
    fn cell(self) -> Cell {
        Cell::new(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        })
    }

    fn color(self) -> Color {
        match self {
            Self::Ok => Color::Green,
            Self::Warning => Color::Yellow,
            Self::Wrong => Color::Red,
        }
    }
}
