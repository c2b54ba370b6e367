use std::time::Duration;

use attesto_core::{Instant, KeyPolicy, KeyTable};

/// How long a server may take to see that keys moved, and to load them.
const SETTLING: Duration = Duration::from_secs(1);

/// When keys moved in a run, as their rows tell.
pub struct Windows {
    /// For each rotation, the seconds from when it was due to when its keys were made and written.
    pub rotations: Vec<f64>,
    /// All in which anything about keys went on.
    pub moving: Spans,
    /// Those of them in which the server made a key.
    pub making: Spans,
}

/// Spans of time, in order and apart from each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Spans(Vec<(Instant, Instant)>);

impl Windows {
    /// Finds them between two instants.
    pub fn of(table: &KeyTable, policy: &KeyPolicy, begun_at: Instant, ended_at: Instant) -> Self {
        let is_within = |at: &Instant| (begun_at..ended_at).contains(at);
        let (mut rotations, mut moving, mut making) = (Vec::new(), Vec::new(), Vec::new());
        for key in &table.keys {
            // Whoever is demoted began the rotation by being old enough; the new keys are made after that.
            if let (Some(active_at), Some(demoted_at)) = (key.active_at, key.demoted_at.filter(is_within)) {
                let due_at = active_at + policy.rotation_interval;
                let written_at = successor_made_at(table, demoted_at).unwrap_or(demoted_at);
                rotations.push(written_at.since(due_at).as_secs_f64());
                moving.push((due_at, written_at + SETTLING));
                making.push((demoted_at, written_at));
            }
            for moved_at in [key.retired_at, key.destroyed_at].into_iter().flatten().filter(is_within) {
                moving.push((moved_at - SETTLING, moved_at + SETTLING));
            }
        }
        let within = |spans| Spans::within(spans, begun_at, ended_at);
        Self { rotations, moving: within(moving), making: within(making) }
    }
}

impl Spans {
    fn within(mut spans: Vec<(Instant, Instant)>, begun_at: Instant, ended_at: Instant) -> Self {
        spans.sort();
        let mut merged: Vec<(Instant, Instant)> = Vec::new();
        for (from, until) in spans {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until.min(ended_at)),
                _ => merged.push((from.max(begun_at), until.min(ended_at))),
            }
        }
        Self(merged)
    }

    /// Whether something that began at `from` and took `took` was under way in one of them.
    pub fn touch(&self, from: Instant, took: Duration) -> bool {
        let until = from + took;
        self.0.iter().any(|(begun_at, ended_at)| from <= *ended_at && *begun_at <= until)
    }

    /// All of them together.
    pub fn length(&self) -> Duration {
        self.0.iter().map(|(from, until)| until.since(*from)).sum()
    }
}

/// A rotation is decided at `demoted_at`, then makes the key after the next, and is written only then.
fn successor_made_at(table: &KeyTable, demoted_at: Instant) -> Option<Instant> {
    table.keys.iter().map(|key| key.created_at).filter(|at| *at >= demoted_at).min()
}

#[cfg(test)]
mod tests {
    use attesto_core::{AuthorityId, KekId, KeyRecord, KeyState, Purpose, SigningAlgorithm};

    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn key(created: i64, active: Option<i64>, demoted: Option<i64>, retired: Option<i64>) -> KeyRecord {
        KeyRecord {
            kid: created.to_string(),
            algorithm: SigningAlgorithm::Rs256,
            purpose: Purpose::Token,
            state: KeyState::Staged,
            public_jwk: String::new(),
            sealed_private_key: None,
            kek_id: KekId(String::new()),
            authority_id: AuthorityId(String::new()),
            created_at: at(created),
            published_at: Some(at(created)),
            active_at: active.map(at),
            demoted_at: demoted.map(at),
            retired_at: retired.map(at),
            destroyed_at: None,
            compromised_at: None,
            mac: Vec::new(),
        }
    }

    /// The first key was due at 10 s, and the third one made until 13 s; the first left at 19 s. The fourth is
    /// of another time.
    #[test]
    fn a_window_lasts_from_when_a_move_is_due_until_it_is_settled() {
        let keys = vec![
            key(0, Some(0), Some(11), Some(19)),
            key(0, Some(11), None, None),
            key(13, None, None, None),
            key(40, None, None, None),
        ];
        let table = KeyTable { keys, ledger: None };
        let policy = KeyPolicy { rotation_interval: Duration::from_secs(10), ..KeyPolicy::default() };
        let windows = Windows::of(&table, &policy, at(5), at(100));
        assert_eq!(windows.moving, Spans(vec![(at(10), at(14)), (at(18), at(20))]));
        assert_eq!(windows.making, Spans(vec![(at(11), at(13))]));
        assert_eq!(windows.rotations.len(), 1);
        assert!((windows.rotations[0] - 3.0).abs() < 1e-9);

        let shorter = Windows::of(&table, &policy, at(12), at(18));
        assert_eq!(shorter.moving, Spans(vec![]), "what happened before or after the run is not of it");
    }

    #[test]
    fn windows_that_overlap_are_one() {
        let spans = vec![(at(8), at(9)), (at(1), at(3)), (at(2), at(6)), (at(3), at(4))];
        assert_eq!(Spans::within(spans.clone(), at(0), at(9)), Spans(vec![(at(1), at(6)), (at(8), at(9))]));
        assert_eq!(
            Spans::within(spans, at(2), at(5)).0[0],
            (at(2), at(5)),
            "cut where the run begins and ends"
        );
    }

    #[test]
    fn a_request_counts_if_any_of_it_was_in_a_window() {
        let windows = Spans(vec![(at(2), at(4)), (at(8), at(9))]);
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
