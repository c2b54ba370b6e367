use crate::audit::RecordedEvent;
use crate::encoding::Encoding;
use crate::instant::Instant;
use crate::key::KekId;
use crate::secret::Digest;

/// What is hashed begins with it.
const LABEL: &str = "attesto audit row v1";

/// A place in the chain of the audit: the hash there stands for every row up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// Its number; the first row has 1.
    pub seq: i64,
    /// Of the row there and, through the hash before it, of all rows before.
    pub hash: Digest,
}

/// A row that has its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedEvent {
    /// The number of its place.
    pub seq: i64,
    /// The hash that is stored with it; `None` if what is stored is no hash.
    pub hash: Option<Digest>,
    /// What happened.
    pub event: RecordedEvent,
}

/// The place that a row is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLink {
    /// The row.
    pub id: i64,
    /// Its place.
    pub place: AuditPlace,
}

/// How far the chain goes, and where it begins since its oldest rows were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// One more with each change.
    pub version: i64,
    /// When the first row was sealed.
    pub begun_at: Instant,
    /// The last place.
    pub last: AuditPlace,
    /// When it was taken.
    pub sealed_at: Instant,
    /// The place of the newest row that is gone because it was old.
    pub purged: AuditPlace,
}

/// A head, and the proof that a holder of the key-encryption key wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedAuditHead {
    /// The head.
    pub head: AuditHead,
    /// The key-encryption key that made the MAC.
    pub kek_id: KekId,
    /// Over everything in the head, under a subkey of it.
    pub mac: Vec<u8>,
}

/// Goes along the chain and stops where it is broken.
#[derive(Clone, Copy, Debug)]
pub struct AuditWalk {
    at: AuditPlace,
}

/// How a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// Rows were taken away.
    #[error("{}", missing(*.first, *.last))]
    Missing {
        /// The first that is not there.
        first: i64,
        /// The last of those that follow it.
        last: i64,
    },
    /// A row does not say any more what it said when it was sealed.
    #[error("row {seq} was altered: what stands there is not what was sealed there")]
    Altered {
        /// Its place.
        seq: i64,
    },
    /// A row stands where another one belongs.
    #[error("row {seq} is out of place: what stands there belongs to place {belongs_to}")]
    OutOfPlace {
        /// Where it stands.
        seq: i64,
        /// Where it was sealed.
        belongs_to: i64,
    },
    /// Two rows claim one place, or a row claims one whose row was removed with the old ones.
    #[error("row {seq} is out of place: there is a row there already, or it was removed as too old")]
    Added {
        /// The place.
        seq: i64,
    },
    /// All links fit, and the last is not the one that the head knows.
    #[error(
        "the hashes up to row {seq} were computed anew: rows were altered by somebody without the key-encryption key"
    )]
    Rewritten {
        /// The last place.
        seq: i64,
    },
    /// Rows are sealed that the head knows nothing of.
    #[error("the head was set back: it ends the chain at row {head}, and row {found} is sealed")]
    HeadSetBack {
        /// The last place by the head.
        head: i64,
        /// The last place of a row.
        found: i64,
    },
}

fn missing(first: i64, last: i64) -> String {
    if first == last {
        format!("row {first} is missing")
    } else {
        format!("rows {first} to {last} are missing")
    }
}

impl AuditPlace {
    /// Before the first row.
    pub fn start() -> Self {
        Self { seq: 0, hash: Digest::ZERO }
    }

    /// The place behind this one, for `event`. `docs/operations/audit.md` has the encoding.
    pub fn then(&self, event: &RecordedEvent) -> Self {
        // Every field is named, so that a new one cannot be forgotten here.
        let RecordedEvent { id, at, event, actor, request_id, user_id, client_id, session_id, reason, kid } =
            event;
        let seq = self.seq + 1;
        let row = Encoding::new(LABEL)
            .bytes(self.hash.as_bytes())
            .number(seq)
            .number(*id)
            .number(*at)
            .text(event)
            .text(actor)
            .optional_text(request_id.as_deref())
            .optional_text(user_id.as_deref())
            .optional_text(client_id.as_deref())
            .optional_text(session_id.as_deref())
            .optional_text(reason.as_deref())
            .optional_text(kid.as_deref());
        Self { seq, hash: Digest::of(row.as_bytes()) }
    }
}

impl AuditHead {
    /// Of a chain that begins now.
    pub fn begin(now: Instant) -> Self {
        let start = AuditPlace::start();
        Self { version: 0, begun_at: now, last: start, sealed_at: now, purged: start }
    }

    /// Gives each of `events` its place behind the last one, in their order.
    pub fn extend(&self, events: &[RecordedEvent], now: Instant) -> (Vec<AuditLink>, Self) {
        let mut last = self.last;
        let mut links = Vec::with_capacity(events.len());
        for event in events {
            last = last.then(event);
            links.push(AuditLink { id: event.id, place: last });
        }
        (links, Self { version: self.version + 1, last, sealed_at: now, ..*self })
    }

    /// Lets the oldest rows go that are from before `before`; `oldest` are the first of the chain. `None` if none may go
    /// yet. What lies in the future was written by a clock that was ahead, and goes with the rows around it.
    pub fn without_old(&self, oldest: &[ChainedEvent], before: Instant, now: Instant) -> Option<Self> {
        let is_old = |row: &&ChainedEvent| row.event.at < before.as_millis();
        let is_of_the_future = |row: &ChainedEvent| row.event.at > now.as_millis();
        let leading = oldest.iter().take_while(|row| is_old(row) || is_of_the_future(row));
        let last = leading.filter(is_old).last()?;
        let purged = AuditPlace { seq: last.seq, hash: last.hash? };
        Some(Self { version: self.version + 1, purged, ..*self })
    }
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

    /// Compares the end with what the head says.
    pub fn end(&self, last: AuditPlace) -> Result<(), AuditBreak> {
        if self.at.seq < last.seq {
            return Err(AuditBreak::Missing { first: self.at.seq + 1, last: last.seq });
        }
        if self.at.seq > last.seq {
            return Err(AuditBreak::HeadSetBack { head: last.seq, found: self.at.seq });
        }
        if self.at.hash != last.hash {
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
    use std::time::Duration;

    use super::*;

    const NOW: Instant = Instant::from_millis(1_700_000_000_400);

    fn event(id: i64) -> RecordedEvent {
        RecordedEvent {
            id,
            at: NOW.as_millis() + id,
            event: "signed_in".to_owned(),
            actor: "server".to_owned(),
            request_id: None,
            user_id: Some("ada".to_owned()),
            client_id: None,
            session_id: None,
            reason: None,
            kid: None,
        }
    }

    fn chain(count: i64) -> (Vec<ChainedEvent>, AuditHead) {
        // In the order in which they were found, which need not be that of their numbers.
        let events: Vec<_> = (1..=count).rev().map(event).collect();
        let (links, head) = AuditHead::begin(NOW).extend(&events, NOW);
        let rows = links.iter().zip(events).map(|(link, event)| {
            assert_eq!(link.id, event.id);
            ChainedEvent { seq: link.place.seq, hash: Some(link.place.hash), event }
        });
        (rows.collect(), head)
    }

    fn walk(rows: &[ChainedEvent], head: &AuditHead) -> Result<(), AuditBreak> {
        let mut walk = AuditWalk::from(head.purged);
        rows.iter().try_for_each(|row| walk.step(row))?;
        walk.end(head.last)
    }

    /// Computed by another implementation: the one in `docs/operations/audit.md`.
    #[test]
    fn the_hash_of_a_row_stays_what_it_is() {
        let full = RecordedEvent {
            id: 7,
            at: 1_700_000_000_400,
            event: "session_revoked".to_owned(),
            actor: "address:2001:db8::1".to_owned(),
            request_id: Some("r-1".to_owned()),
            user_id: Some("äda".to_owned()),
            client_id: Some(String::new()),
            session_id: None,
            reason: Some("replay".to_owned()),
            kid: None,
        };
        let place = AuditPlace::start().then(&full);
        assert_eq!((place.seq, place.hash.to_string()), (1, HASH_OF_FULL.to_owned()));
    }

    const HASH_OF_FULL: &str = "7dd1e93212fc16375fcacd37afe2f6def5391c733d95d369094312d33eadc3c3";

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
                    let mut place = AuditPlace::start();
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
        let (rows, head) = chain(5);
        let last = AuditPlace { seq: 4, hash: rows[3].hash.unwrap() };
        let set_back = Err(AuditBreak::HeadSetBack { head: 4, found: 5 });
        assert_eq!(walk(&rows, &AuditHead { last, ..head }), set_back);
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

    #[test]
    fn only_a_beginning_of_old_rows_goes() {
        let before = NOW + Duration::from_secs(10);
        let now = NOW + Duration::from_secs(20);
        let (old, young, ahead) = (0, 15_000, 99_000);
        let table: [(&[i64], i64); 8] = [
            (&[], 0),
            (&[young], 0),
            (&[old], 1),
            (&[old, old, young, old], 2),
            (&[young, old], 0),
            (&[old, ahead, old, young], 3),
            (&[ahead, ahead], 0),
            (&[old, ahead], 1),
        ];
        for (ages, purged) in table {
            let events: Vec<_> = ages
                .iter()
                .map(|millis| RecordedEvent { at: NOW.as_millis() + millis, ..event(1) })
                .collect();
            let (links, head) = AuditHead::begin(NOW).extend(&events, NOW);
            let row = |(link, event): (&AuditLink, &RecordedEvent)| ChainedEvent {
                seq: link.place.seq,
                hash: Some(link.place.hash),
                event: event.clone(),
            };
            let rows: Vec<_> = links.iter().zip(&events).map(row).collect();
            let next = head.without_old(&rows, before, now);
            assert_eq!(next.map_or(0, |next| next.purged.seq), purged, "{ages:?}");
            if let Some(next) = next {
                assert_eq!(walk(&rows[usize::try_from(purged).unwrap()..], &next), Ok(()));
                assert_eq!((next.version, next.last), (head.version + 1, head.last));
            }
        }
    }
}
