use attesto_core::{Instant, PlannedStep};
use serde::Serialize;

use super::operation::Operation;
use super::picture::Picture;
use crate::context::{Place, now};
use crate::failure::Failure;
use crate::output::{Output, cell, in_words, rfc3339, say, terminal_width};

#[derive(Serialize)]
struct Shown {
    at: String,
    step: &'static str,
    kid: Option<String>,
    purpose: &'static str,
    algorithm: &'static str,
    #[serde(skip)]
    wait: String,
}

/// Shows the timetable of the next rotation.
pub async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let operation = Operation::begin(place, output).await?;
    let (keyring, facts) = operation.read().await?;
    let now = now();
    let plan = keyring.table().plan(operation.guards(&facts), now);
    if !output.json {
        say(&Picture::new(&keyring.table().keys, &plan, now).draw(terminal_width()))?;
        if operation.keeper.live_servers().await?.is_empty() {
            say("No server runs: nothing happens by itself before one does.\n")?;
        }
    }
    let steps: Vec<_> = plan.into_iter().map(|step| Shown::new(step, now)).collect();
    output.list(&steps, &["at", "in", "step", "key", "purpose", "algorithm"], |step| {
        vec![
            step.at.clone(),
            step.wait.clone(),
            step.step.to_owned(),
            step.kid.as_ref().map_or_else(|| "(a new one)".to_owned(), |kid| cell(Some(kid))),
            step.purpose.to_owned(),
            step.algorithm.to_owned(),
        ]
    })
}

impl Shown {
    fn new(planned: PlannedStep, now: Instant) -> Self {
        Self {
            at: rfc3339(planned.at),
            step: planned.step.as_str(),
            kid: planned.kid,
            purpose: planned.line.purpose.as_str(),
            algorithm: planned.line.algorithm.as_str(),
            wait: in_words(planned.at.since(now)),
        }
    }
}
