use attesto_core::{Instant, KeyRecord, KeyStep, Line, PlannedStep};

use crate::output::rfc3339;

/// A timetable as lines over a common time axis.
pub struct Picture {
    lanes: Vec<Lane>,
    from: Instant,
    to: Instant,
    now: Instant,
}

/// The life of one key, as far as it is known or planned.
struct Lane {
    line: Line,
    name: String,
    /// Each lasts until the next one begins.
    phases: Vec<(Instant, Phase)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Published,
    Signing,
    Retiring,
    Gone,
}

impl Phase {
    fn mark(self) -> char {
        match self {
            Self::Published => '.',
            Self::Signing => '#',
            Self::Retiring => '~',
            Self::Gone => ' ',
        }
    }
}

/// Enough of a `kid` to tell it from others, and to name it in a command.
const NAME: usize = 8;

const LEGEND: &str = ".... published   #### signs   ~~~~ retiring, still published";

impl Picture {
    /// Of the keys that are published, and of those that are to be.
    pub fn new(keys: &[KeyRecord], plan: &[PlannedStep], now: Instant) -> Self {
        let here = keys.iter().filter(|key| key.state.is_published()).map(|key| Lane::of(key, plan));
        let to_come = plan.iter().filter(|step| step.kid.is_none()).map(Lane::to_come);
        let mut lanes: Vec<_> = here.chain(to_come).collect();
        lanes.sort_by_key(|lane| (lane.line, lane.phases.first().map(|phase| phase.0)));
        let begins = lanes.iter().filter_map(|lane| lane.phases.first()).map(|phase| phase.0);
        let from = begins.chain([now]).min().unwrap_or(now);
        let to = plan.iter().map(|step| step.at).chain([now]).max().unwrap_or(now);
        Self { lanes, from, to, now }
    }

    /// Draws it, no wider than `width`.
    pub fn draw(&self, width: usize) -> String {
        const LEAST: usize = 20;
        let columns = width.saturating_sub(NAME + 2).max(LEAST);
        let indent = " ".repeat(NAME + 2);
        let mut rows = vec![format!("{indent}{}", self.mark_now(columns))];
        let mut line = None;
        for lane in &self.lanes {
            if line != Some(lane.line) {
                line = Some(lane.line);
                rows.push(lane.line.to_string());
            }
            rows.push(format!("{:NAME$}  {}", lane.name, self.draw_lane(lane, columns)));
        }
        rows.push(format!("{indent}{}", self.ends(columns)));
        rows.extend([String::new(), LEGEND.to_owned(), String::new()]);
        let rows: Vec<_> = rows.iter().map(|row| row.trim_end()).collect();
        rows.join("\n")
    }

    fn mark_now(&self, columns: usize) -> String {
        let at = self.column(self.now, columns - 1);
        if at + "v now".len() <= columns { format!("{:at$}v now", "") } else { format!("{:>at$}v", "now ") }
    }

    /// The first instant at one end of the axis, and the last at the other.
    fn ends(&self, columns: usize) -> String {
        let (from, to) = (rfc3339(self.from), rfc3339(self.to));
        let rest = columns.saturating_sub(from.len()).max(to.len() + 1);
        format!("{from}{to:>rest$}")
    }

    /// However short a phase is, it gets a column, so that what happens is seen in its order.
    fn draw_lane(&self, lane: &Lane, columns: usize) -> String {
        let mut drawn = String::new();
        let ends = lane.phases.iter().skip(1).map(|phase| phase.0).chain([self.to]);
        for ((start, phase), end) in lane.phases.iter().zip(ends) {
            let blank = self.column(*start, columns).saturating_sub(drawn.len());
            drawn += &" ".repeat(blank);
            let wide = self.column(end, columns).saturating_sub(drawn.len()).max(1);
            drawn.extend(std::iter::repeat_n(phase.mark(), wide));
        }
        drawn.chars().take(columns).collect()
    }

    fn column(&self, at: Instant, columns: usize) -> usize {
        let whole = self.to.since(self.from).as_millis().max(1);
        let share = at.since(self.from).as_millis().min(whole);
        usize::try_from(share * columns as u128 / whole).unwrap_or(columns)
    }
}

impl Lane {
    fn of(key: &KeyRecord, plan: &[PlannedStep]) -> Self {
        let known = [
            (key.published_at, Phase::Published),
            (key.active_at, Phase::Signing),
            (key.demoted_at, Phase::Retiring),
        ];
        let known = known.into_iter().filter_map(|(at, phase)| Some((at?, phase)));
        let planned = plan.iter().filter(|step| step.kid.as_ref() == Some(&key.kid));
        let planned = planned.filter_map(|step| Some((step.at, phase_after(step.step)?)));
        let name = key.kid.chars().take(NAME).collect();
        Self { line: key.line(), name, phases: known.chain(planned).collect() }
    }

    fn to_come(step: &PlannedStep) -> Self {
        Self { line: step.line, name: "(new)".to_owned(), phases: vec![(step.at, Phase::Published)] }
    }
}

fn phase_after(step: KeyStep) -> Option<Phase> {
    match step {
        KeyStep::Stage => Some(Phase::Published),
        KeyStep::Promote => Some(Phase::Signing),
        KeyStep::Demote => Some(Phase::Retiring),
        KeyStep::Retire | KeyStep::Compromise => Some(Phase::Gone),
        // The private half is nobody's but the authority's.
        KeyStep::Destroy => None,
    }
}
