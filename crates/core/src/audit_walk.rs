use crate::audit_break::AuditBreak;
use crate::audit_chain::{AuditPlace, ChainedEvent};
use crate::secret::Digest;

/// Goes along the chain and stops where it is broken.
#[derive(Clone, Copy, Debug)]
pub struct AuditWalk {
    at: AuditPlace,
}

impl AuditWalk {
    /// Begins behind `place`.
    pub fn from(place: AuditPlace) -> Self {
        Self { at: place }
    }

    /// The last place that was reached.
    pub fn at(&self) -> AuditPlace {
        self.at
    }

    /// Takes the next row.
    pub fn step(&mut self, row: &ChainedEvent) -> Result<(), AuditBreak> {
        let next = self.at.then(&row.event);
        if row.seq > next.seq {
            return Err(AuditBreak::Missing { first: next.seq, last: row.seq - 1 });
        }
        if row.seq < next.seq {
            return Err(AuditBreak::Added { seq: row.seq });
        }
        if row.hash != Some(next.hash) {
            return Err(AuditBreak::Altered { seq: row.seq });
        }
        self.at = next;
        Ok(())
    }

    /// Compares the end with what the head says. No row behind it was taken.
    pub fn end(&self, last: AuditPlace) -> Result<(), AuditBreak> {
        if self.at.seq < last.seq {
            return Err(AuditBreak::Missing { first: self.at.seq + 1, last: last.seq });
        }
        if self.at != last {
            return Err(AuditBreak::Rewritten { seq: last.seq });
        }
        Ok(())
    }
}

/// Looks for the place of a row that does not fit where it stands.
pub struct AuditSearch {
    row: ChainedEvent,
    before: AuditPlace,
}

impl AuditSearch {
    /// Begins behind `place`, from where [`Self::step`] is given all rows.
    pub fn new(row: ChainedEvent, place: AuditPlace) -> Self {
        Self { row, before: place }
    }

    /// Tries the place that `row` has. Gives its number if the row that is looked for was sealed there.
    pub fn step(&mut self, row: &ChainedEvent) -> Option<i64> {
        let place = self.before.then(&self.row.event);
        let is_it = [self.row.hash, row.hash].contains(&Some(place.hash));
        self.before = AuditPlace { seq: row.seq, hash: row.hash.unwrap_or(Digest::ZERO) };
        (is_it && place.seq != self.row.seq).then_some(place.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RecordedEvent;
    use crate::audit_chain::AuditHead;
    use crate::audit_chain::fixture::{NOW, chain, event};

    fn walk(rows: &[ChainedEvent], head: &AuditHead) -> Result<(), AuditBreak> {
        let mut walk = AuditWalk::from(head.purged);
        rows.iter().try_for_each(|row| walk.step(row))?;
        walk.end(head.last)
    }

    #[test]
    fn what_was_sealed_is_whole() {
        let (rows, head) = chain(5);
        assert_eq!((head.version, head.last.seq), (1, 5));
        assert_eq!(walk(&rows, &head), Ok(()));
        assert_eq!(walk(&[], &AuditHead::begin(NOW)), Ok(()));
        let (links, next) = head.extend(&[event(9)], NOW);
        assert_eq!((links[0].place, next.version), (next.last, 2));
        assert_eq!(next.last, head.last.then(&event(9)));
    }

    #[test]
    fn each_column_counts() {
        type Alter = fn(&mut RecordedEvent);
        let alterations: [Alter; 10] = [
            |event| event.id += 1,
            |event| event.at += 1,
            |event| event.event.push('x'),
            |event| event.actor.push('x'),
            |event| event.request_id = Some(String::new()),
            |event| event.user_id = None,
            |event| event.client_id = Some("ada".to_owned()),
            |event| event.session_id = Some("ada".to_owned()),
            |event| event.reason = Some("ada".to_owned()),
            |event| event.kid = Some("ada".to_owned()),
        ];
        for alter in alterations {
            let (mut rows, head) = chain(3);
            alter(&mut rows[1].event);
            assert_eq!(walk(&rows, &head), Err(AuditBreak::Altered { seq: 2 }));
        }
    }

    #[test]
    fn what_is_wrong_first_is_named() {
        type Alter = fn(&mut Vec<ChainedEvent>);
        let table: [(Alter, AuditBreak); 8] = [
            (|rows| drop(rows.remove(0)), AuditBreak::Missing { first: 1, last: 1 }),
            (|rows| drop(rows.drain(1..3)), AuditBreak::Missing { first: 2, last: 3 }),
            (|rows| drop(rows.drain(3..)), AuditBreak::Missing { first: 4, last: 5 }),
            (Vec::clear, AuditBreak::Missing { first: 1, last: 5 }),
            (|rows| rows.insert(2, rows[1].clone()), AuditBreak::Added { seq: 2 }),
            (|rows| rows[3].hash = None, AuditBreak::Altered { seq: 4 }),
            (|rows| rows[3].hash = rows[2].hash, AuditBreak::Altered { seq: 4 }),
            (
                |rows| {
                    let mut place = AuditHead::begin(NOW).last;
                    rows[1].event.actor = "nobody".to_owned();
                    for row in rows {
                        place = place.then(&row.event);
                        row.hash = Some(place.hash);
                    }
                },
                AuditBreak::Rewritten { seq: 5 },
            ),
        ];
        for (alter, expected) in table {
            let (mut rows, head) = chain(5);
            alter(&mut rows);
            assert_eq!(walk(&rows, &head), Err(expected));
        }
    }

    #[test]
    fn what_stands_elsewhere_is_found() {
        type Swap = fn(&mut [ChainedEvent]);
        let contents: Swap = |rows| {
            let other = rows[1].event.clone();
            rows[1].event = std::mem::replace(&mut rows[3].event, other);
        };
        let places: Swap = |rows| {
            rows.swap(1, 3);
            (rows[1].seq, rows[3].seq) = (2, 4);
        };
        for swap in [contents, places] {
            let (mut rows, head) = chain(5);
            swap(&mut rows);
            assert_eq!(walk(&rows, &head), Err(AuditBreak::Altered { seq: 2 }));
            let mut search = AuditSearch::new(rows[1].clone(), head.purged);
            assert_eq!(rows.iter().find_map(|row| search.step(row)), Some(4));
        }
        let (mut rows, head) = chain(5);
        rows[1].event.actor = "nobody".to_owned();
        let mut search = AuditSearch::new(rows[1].clone(), head.purged);
        assert_eq!(rows.iter().find_map(|row| search.step(row)), None);
    }

    /// What stands in a row may be any number.
    #[test]
    fn a_search_gets_along_with_the_last_of_all_numbers() {
        let (mut rows, head) = chain(3);
        rows[0].event.actor = "nobody".to_owned();
        rows[1].seq = i64::MAX;
        rows[2].seq = i64::MAX;
        let mut search = AuditSearch::new(rows[0].clone(), head.purged);
        assert_eq!(rows.iter().find_map(|row| search.step(row)), None);
    }
}
