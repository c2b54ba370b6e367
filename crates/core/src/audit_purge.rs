use crate::audit_break::AuditBreak;
use crate::audit_chain::{AuditHead, AuditPlace, ChainedEvent};
use crate::audit_walk::AuditWalk;
use crate::instant::Instant;

/// Goes along the oldest rows of the chain, proves them, and finds out which of them may go: those from before an instant.
/// What lies in the future was written by a clock that was ahead, and goes with the rows around it.
#[derive(Clone, Copy, Debug)]
pub struct AuditPurge {
    head: AuditHead,
    before: Instant,
    now: Instant,
    walk: AuditWalk,
    /// How many rows may go at once.
    most: i64,
    /// The last place that may go at once.
    at_once: AuditPlace,
    /// The last old row.
    old: AuditPlace,
}

impl AuditPurge {
    /// Begins where the chain of `head` does.
    pub fn of(head: AuditHead, before: Instant, now: Instant, most: i64) -> Self {
        let (walk, at) = (AuditWalk::from(head.purged), head.purged);
        Self { head, before, now, walk, most, at_once: at, old: at }
    }

    /// The last row that was taken.
    pub fn at(&self) -> AuditPlace {
        self.walk.at()
    }

    /// Takes the next rows, and says whether it has to see more. A row is compared with the one behind it, the last with the
    /// head: else who has the database alone could give old rows a new text, and nothing would show it. Who writes the hash of
    /// the first row that stays anew as well is found out behind it, by whoever goes along the chain.
    pub fn take(&mut self, rows: &[ChainedEvent]) -> Result<bool, AuditBreak> {
        for row in rows {
            self.walk.step(row)?;
            if self.is_young(row) || self.has_enough() {
                return Ok(false);
            }
            if self.is_old(row) {
                self.old = self.walk.at();
            }
            if self.taken() <= self.most {
                self.at_once = self.walk.at();
            }
        }
        Ok(true)
    }

    /// There are no more rows.
    pub fn end(&self) -> Result<(), AuditBreak> {
        self.walk.end(self.head.last)
    }

    /// The head that lets them go; `None` if none may go yet.
    pub fn head(&self) -> Option<AuditHead> {
        let purged = if self.old.seq < self.at_once.seq { self.old } else { self.at_once };
        (purged != self.head.purged).then_some(AuditHead {
            version: self.head.version + 1,
            purged,
            ..self.head
        })
    }

    fn is_old(&self, row: &ChainedEvent) -> bool {
        row.event.at < self.before.as_millis()
    }

    fn is_young(&self, row: &ChainedEvent) -> bool {
        !self.is_old(row) && row.event.at <= self.now.as_millis()
    }

    /// Whether old rows are among those before the last one, and no more may go at once.
    fn has_enough(&self) -> bool {
        self.taken() > self.most && self.old != self.head.purged
    }

    fn taken(&self) -> i64 {
        self.walk.at().seq - self.head.purged.seq
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audit::RecordedEvent;
    use crate::audit_chain::fixture::{NOW, event};

    const OLD: i64 = 0;
    const YOUNG: i64 = 15_000;
    const AHEAD: i64 = 99_000;

    fn chain(ages: &[i64]) -> (Vec<ChainedEvent>, AuditHead) {
        let at = |millis| RecordedEvent { at: NOW.as_millis() + millis, ..event(1) };
        let events: Vec<_> = ages.iter().map(|millis| at(*millis)).collect();
        let (links, head) = AuditHead::begin(NOW).extend(&events, NOW);
        let rows = links.iter().zip(events).map(|(link, event)| ChainedEvent {
            seq: link.place.seq,
            hash: Some(link.place.hash),
            event,
        });
        (rows.collect(), head)
    }

    /// In pages of two.
    fn purge(rows: &[ChainedEvent], head: AuditHead, most: i64) -> Result<Option<AuditHead>, AuditBreak> {
        let (before, now) = (NOW + Duration::from_secs(10), NOW + Duration::from_secs(20));
        let mut purge = AuditPurge::of(head, before, now, most);
        for page in rows.chunks(2) {
            if !purge.take(page)? {
                return Ok(purge.head());
            }
        }
        purge.end()?;
        Ok(purge.head())
    }

    #[test]
    fn only_a_beginning_of_old_rows_goes() {
        let table: [(&[i64], i64); 11] = [
            (&[], 0),
            (&[YOUNG], 0),
            (&[OLD], 1),
            (&[OLD, OLD, YOUNG, OLD], 2),
            (&[YOUNG, OLD], 0),
            (&[OLD, AHEAD, OLD, YOUNG], 3),
            (&[AHEAD, AHEAD], 0),
            (&[OLD, AHEAD], 1),
            (&[OLD, OLD, OLD, OLD, OLD], 3),
            // Behind more than go at once.
            (&[AHEAD, AHEAD, AHEAD, AHEAD, OLD, YOUNG], 3),
            (&[AHEAD, AHEAD, AHEAD, AHEAD, YOUNG, OLD], 0),
        ];
        for (ages, purged) in table {
            let (rows, head) = chain(ages);
            let next = purge(&rows, head, 3).unwrap();
            assert_eq!(next.map_or(0, |next| next.purged.seq), purged, "{ages:?}");
            if let Some(next) = next {
                let mut walk = AuditWalk::from(next.purged);
                let left = &rows[usize::try_from(purged).unwrap()..];
                left.iter().try_for_each(|row| walk.step(row)).unwrap();
                assert_eq!(walk.end(next.last), Ok(()));
                assert_eq!((next.version, next.last), (head.version + 1, head.last));
            }
        }
    }

    #[test]
    fn what_does_not_fit_stays_with_all_before_it() {
        type Alter = fn(&mut Vec<ChainedEvent>);
        let rehash: Alter = |rows| {
            let mut place = AuditHead::begin(NOW).last;
            for row in rows {
                place = place.then(&row.event);
                row.hash = Some(place.hash);
            }
        };
        let table: [(&[i64], Alter, AuditBreak); 6] = [
            (&[YOUNG, YOUNG], |rows| rows[0].event.at = OLD, AuditBreak::Altered { seq: 1 }),
            (&[OLD, OLD, YOUNG], |rows| drop(rows.remove(1)), AuditBreak::Missing { first: 2, last: 2 }),
            (&[OLD, OLD, YOUNG], |rows| rows.insert(1, rows[0].clone()), AuditBreak::Added { seq: 1 }),
            (&[OLD, OLD], |rows| drop(rows.pop()), AuditBreak::Missing { first: 2, last: 2 }),
            // With hashes that fit up to the last that was altered, or to the end.
            (
                &[OLD, OLD, YOUNG],
                |rows| {
                    rows[0].event.actor = "nobody".to_owned();
                    let mut place = AuditHead::begin(NOW).last;
                    for row in &mut rows[..2] {
                        place = place.then(&row.event);
                        row.hash = Some(place.hash);
                    }
                },
                AuditBreak::Altered { seq: 3 },
            ),
            (&[OLD, OLD], |rows| rows[0].event.actor = "nobody".to_owned(), AuditBreak::Rewritten { seq: 2 }),
        ];
        for (ages, alter, expected) in table {
            let (mut rows, head) = chain(ages);
            alter(&mut rows);
            if let AuditBreak::Rewritten { .. } = expected {
                rehash(&mut rows);
            }
            assert_eq!(purge(&rows, head, 3), Err(expected));
        }
    }
}
