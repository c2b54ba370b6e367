use std::time::Duration;

use attesto_core::{Instant, KeyPolicy, KeyTable};

/// How long a server may take to see that keys moved, and to load them.
const SETTLING: Duration = Duration::from_secs(1);

/// When keys moved in a run, as their rows tell.
pub struct Windows {
    /// For each rotation, the seconds from when it was due to when it was written.
    pub rotations: Vec<f64>,
    /// In order, apart from each other.
    spans: Vec<(Instant, Instant)>,
}

impl Windows {
    /// Finds them between two instants.
    pub fn of(table: &KeyTable, policy: &KeyPolicy, begun_at: Instant, ended_at: Instant) -> Self {
        let is_within = |at: &Instant| (begun_at..ended_at).contains(at);
        let mut windows = Self { rotations: Vec::new(), spans: Vec::new() };
        for key in &table.keys {
            // Whoever is demoted began the rotation by being old enough; the new keys are made after that.
            if let (Some(active_at), Some(demoted_at)) = (key.active_at, key.demoted_at.filter(is_within)) {
                let due_at = active_at + policy.rotation_interval;
                windows.rotations.push(demoted_at.since(due_at).as_secs_f64());
                windows.spans.push((due_at, demoted_at + SETTLING));
            }
            for moved_at in [key.retired_at, key.destroyed_at].into_iter().flatten().filter(is_within) {
                windows.spans.push((moved_at - SETTLING, moved_at + SETTLING));
            }
        }
        for (from, until) in &mut windows.spans {
            (*from, *until) = ((*from).max(begun_at), (*until).min(ended_at));
        }
        windows.spans = merged(windows.spans);
        windows
    }

    /// Whether something that began at `from` and took `took` was under way while keys moved.
    pub fn touch(&self, from: Instant, took: Duration) -> bool {
        let until = from + took;
        self.spans.iter().any(|(begun_at, ended_at)| from <= *ended_at && *begun_at <= until)
    }

    /// All of them together.
    pub fn length(&self) -> Duration {
        self.spans.iter().map(|(from, until)| until.since(*from)).sum()
    }
}

fn merged(mut spans: Vec<(Instant, Instant)>) -> Vec<(Instant, Instant)> {
    spans.sort();
    let mut merged: Vec<(Instant, Instant)> = Vec::new();
    for (from, until) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((from, until)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn windows_that_overlap_are_one() {
        let spans = vec![(at(8), at(9)), (at(1), at(3)), (at(2), at(6)), (at(3), at(4))];
        assert_eq!(merged(spans), [(at(1), at(6)), (at(8), at(9))]);
    }

    #[test]
    fn a_request_counts_if_any_of_it_was_in_a_window() {
        let windows = Windows { rotations: vec![], spans: vec![(at(2), at(4)), (at(8), at(9))] };
        for (from, took, expected) in [
            (0, 1, false),
            (0, 2, true),
            (1, 20, true),
            (3, 0, true),
            (4, 1, true),
            (5, 2, false),
            (10, 1, false),
        ] {
            assert_eq!(windows.touch(at(from), Duration::from_secs(took)), expected, "{from} {took}");
        }
        assert_eq!(windows.length(), Duration::from_secs(3));
    }
}
