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

/// Phases at the very end that are shorter than a column.
const MARGIN: usize = 3;

const LEGEND: &str = ".... published   #### signs   ~~~~ retiring, still published";

impl Picture {
    /// Of the keys that are published, and of those that are to be.
    pub fn new(keys: &[KeyRecord], plan: &[PlannedStep], now: Instant) -> Self {
        let here = keys.iter().filter(|key| key.state.is_published()).map(|key| Lane::of(key, plan));
        let to_come = plan.iter().filter(|step| step.kid.is_none()).map(Lane::to_come);
        let mut lanes: Vec<_> = here.chain(to_come).collect();
        lanes.sort_by_key(|lane| (lane.line, lane.begins_to_sign().is_none(), lane.begins_to_sign()));
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
        let at = self.column(self.now, columns);
        if at + "v now".len() <= columns { format!("{:at$}v now", "") } else { format!("{:>at$}v", "now ") }
    }

    /// The first instant at one end of the axis, and the last at the other.
    fn ends(&self, columns: usize) -> String {
        let (from, to) = (rfc3339(self.from), rfc3339(self.to));
        let rest = columns.saturating_sub(from.len()).max(to.len() + 1);
        format!("{from}{to:>rest$}")
    }

    /// However short a phase is, it gets a column, so that what happens is seen in its order. For those at the end there
    /// is a margin.
    fn draw_lane(&self, lane: &Lane, columns: usize) -> String {
        let mut drawn = String::new();
        let ends = lane.phases.iter().skip(1).map(|phase| phase.0).chain([self.to]);
        for ((start, phase), end) in lane.phases.iter().zip(ends) {
            if *start == end && end < self.to {
                continue;
            }
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
        let within = columns.saturating_sub(MARGIN);
        usize::try_from(share * within as u128 / whole).unwrap_or(within)
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

    fn begins_to_sign(&self) -> Option<Instant> {
        self.phases.iter().find(|phase| phase.1 == Phase::Signing).map(|phase| phase.0)
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

#[cfg(test)]
mod tests {
    use attesto_core::{AuthorityId, KekId, KeyState, Purpose, SigningAlgorithm};

    use super::*;

    const LINE: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Rs256 };

    fn at(seconds: i64) -> Instant {
        Instant::from_seconds(seconds)
    }

    fn key(kid: &str, state: KeyState, instants: [Option<i64>; 3]) -> KeyRecord {
        let [published_at, active_at, demoted_at] = instants.map(|instant| instant.map(at));
        KeyRecord {
            kid: kid.to_owned(),
            algorithm: LINE.algorithm,
            purpose: LINE.purpose,
            state,
            public_jwk: String::new(),
            sealed_private_key: None,
            kek_id: KekId(String::new()),
            authority_id: AuthorityId(String::new()),
            created_at: at(0),
            published_at,
            active_at,
            demoted_at,
            retired_at: None,
            destroyed_at: None,
            compromised_at: None,
            mac: Vec::new(),
        }
    }

    fn step(seconds: i64, step: KeyStep, kid: Option<&str>) -> PlannedStep {
        PlannedStep { line: LINE, step, kid: kid.map(str::to_owned), at: at(seconds) }
    }

    fn draw(keys: &[KeyRecord], plan: &[PlannedStep], now: i64, width: usize) -> Vec<String> {
        let picture = Picture::new(keys, plan, at(now)).draw(width);
        picture.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_key_is_a_line_over_the_same_axis() {
        let keys = [
            key("staged-key", KeyState::Staged, [Some(200), None, None]),
            key("active-key", KeyState::Active, [Some(0), Some(100), None]),
            key("oldest-key", KeyState::Retiring, [Some(0), Some(0), Some(100)]),
            key("gone", KeyState::Retired, [Some(0), Some(0), Some(50)]),
        ];
        let plan = [
            step(300, KeyStep::Retire, Some("oldest-key")),
            step(310, KeyStep::Destroy, Some("oldest-key")),
            step(400, KeyStep::Promote, Some("staged-key")),
            step(400, KeyStep::Demote, Some("active-key")),
            step(400, KeyStep::Stage, None),
            step(500, KeyStep::Retire, Some("active-key")),
            step(500, KeyStep::Destroy, Some("active-key")),
        ];
        let drawn = draw(&keys, &plan, 250, 63);
        let expected = [
            "                                   v now",
            "token RS256",
            "oldest-k  ##########~~~~~~~~~~~~~~~~~~~~",
            "active-k  ..........##############################~~~~~~~~~~",
            "staged-k                      ....................##########",
            "(new)                                             ..........",
            "          1970-01-01T00:00:00.000Z     1970-01-01T00:08:20.000Z",
        ];
        assert_eq!(drawn[..7], expected);
    }

    #[test]
    fn what_is_short_is_seen_and_nothing_is_wider_than_it_may_be() {
        let day = 86_400;
        let keys = [
            key("active-key", KeyState::Active, [Some(0), Some(1), None]),
            key("staged-key", KeyState::Staged, [Some(0), None, None]),
        ];
        let plan = [
            step(30 * day, KeyStep::Promote, Some("staged-key")),
            step(30 * day, KeyStep::Demote, Some("active-key")),
            step(30 * day, KeyStep::Stage, None),
            step(30 * day + 60, KeyStep::Retire, Some("active-key")),
            step(30 * day + 70, KeyStep::Destroy, Some("active-key")),
        ];
        for width in [0, 30, 31, 59, 80, 100, 250] {
            for now in [0, 15 * day, 30 * day, 40 * day] {
                let drawn = draw(&keys, &plan, now, width);
                // Below that it would be no picture.
                let least = width.max(30);
                let drawing = &drawn[..drawn.len() - 3];
                assert!(drawing.iter().all(|line| line.len() <= least.max(60)), "{width}: {drawn:#?}");
                assert!(drawing[..5].iter().all(|line| line.len() <= least), "{width}: {drawn:#?}");
                assert!(drawing[0].contains('v') && drawing[0].contains("now"), "{drawn:#?}");
                assert!(drawing[2].contains(".#") && drawing[2].contains("#~"), "{width}: {drawn:#?}");
                assert!(drawing[3].contains(".#") && drawing[4].contains(" ."), "{width}: {drawn:#?}");
            }
        }
    }

    #[test]
    fn without_a_plan_there_is_still_a_picture() {
        assert_eq!(draw(&[], &[], 0, 60)[0], "          v now");
        let alone = [key("active-key", KeyState::Active, [Some(0), Some(0), None])];
        assert!(draw(&alone, &[], 100, 60)[2].starts_with("active-k  ####"));
    }
}
