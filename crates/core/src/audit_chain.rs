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
    /// When the chain began.
    pub begun_at: Instant,
    /// The last place.
    pub last: AuditPlace,
    /// When it was taken.
    pub sealed_at: Instant,
    /// The place of the newest row that is gone because it was old.
    pub purged: AuditPlace,
}

/// Which head it is: the later one has gone further, or is that of a chain that began later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditEdition {
    /// When the chain began.
    pub begun_at: Instant,
    /// Of the head of this chain.
    pub version: i64,
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

impl AuditPlace {
    /// The place behind this one, for `event`. `docs/operations/audit.md` has the encoding.
    pub fn then(&self, event: &RecordedEvent) -> Self {
        // Every field is named, so that a new one cannot be forgotten here.
        let RecordedEvent { id, at, event, actor, request_id, user_id, client_id, session_id, reason, kid } =
            event;
        // What is looked for may lie behind a row that claims the last of all numbers.
        let seq = self.seq.saturating_add(1);
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
    /// Of the first chain, which begins now.
    pub fn begin(now: Instant) -> Self {
        Self::begin_behind(0, now)
    }

    /// Of a chain that begins now, behind all places that there were: what was noted of one of them stays unmistakable.
    pub fn begin_behind(seq: i64, now: Instant) -> Self {
        // What nobody proved may be any number, and beyond this one programs that read JSON cannot count.
        const HIGHEST: i64 = 1 << 52;
        let start = AuditPlace { seq: seq.clamp(0, HIGHEST), hash: Digest::ZERO };
        Self { version: 0, begun_at: now, last: start, sealed_at: now, purged: start }
    }

    /// Which one it is.
    pub fn edition(&self) -> AuditEdition {
        AuditEdition { begun_at: self.begun_at, version: self.version }
    }

    /// Whether `place`, which the same chain had reached before, is still in it; `hash` is what is stored there.
    pub fn keeps(&self, place: AuditPlace, hash: Option<Digest>) -> bool {
        match place.seq {
            seq if seq < self.purged.seq => true,
            seq if seq == self.purged.seq => place == self.purged,
            seq if seq == self.last.seq => place == self.last && hash == Some(place.hash),
            seq => seq < self.last.seq && hash == Some(place.hash),
        }
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
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    pub(crate) const NOW: Instant = Instant::from_millis(1_700_000_000_400);

    pub(crate) fn event(id: i64) -> RecordedEvent {
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

    pub(crate) fn chain(count: i64) -> (Vec<ChainedEvent>, AuditHead) {
        // In the order in which they were found, which need not be that of their numbers.
        let events: Vec<_> = (1..=count).rev().map(event).collect();
        let (links, head) = AuditHead::begin(NOW).extend(&events, NOW);
        let rows = links.iter().zip(events).map(|(link, event)| {
            assert_eq!(link.id, event.id);
            ChainedEvent { seq: link.place.seq, hash: Some(link.place.hash), event }
        });
        (rows.collect(), head)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::fixture::{NOW, event};
    use super::*;

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
        let place = AuditHead::begin(NOW).last.then(&full);
        assert_eq!((place.seq, place.hash.to_string()), (1, HASH_OF_FULL.to_owned()));
    }

    const HASH_OF_FULL: &str = "7dd1e93212fc16375fcacd37afe2f6def5391c733d95d369094312d33eadc3c3";

    #[test]
    fn a_chain_that_follows_another_begins_behind_it() {
        for (highest, begins_behind) in [(0, 0), (41, 41), (i64::MAX, 1 << 52), (i64::MIN, 0)] {
            let head = AuditHead::begin_behind(highest, NOW);
            assert_eq!(
                (head.last.seq, head.last, head.purged.hash),
                (begins_behind, head.purged, Digest::ZERO)
            );
            let (links, next) = head.extend(&[event(1)], NOW);
            assert_eq!((links[0].place.seq, next.last), (begins_behind + 1, links[0].place));
        }
    }

    #[test]
    fn a_later_chain_is_the_later_one_whatever_its_version() {
        let head =
            |version, seconds| AuditHead { version, ..AuditHead::begin(NOW + Duration::from_secs(seconds)) };
        assert!(head(1, 1).edition() > head(900, 0).edition());
        assert!(head(2, 0).edition() > head(1, 0).edition());
        assert_eq!(head(1, 0).edition(), head(1, 0).edition());
    }

    #[test]
    fn a_place_that_was_reached_stays_in_the_chain_or_was_removed_with_the_old_ones() {
        let place = |seq, byte| AuditPlace { seq, hash: Digest::from_bytes(&[byte; 32]).unwrap() };
        let head = AuditHead { purged: place(3, 3), last: place(9, 9), ..AuditHead::begin(NOW) };
        for (seq, byte, stored, is_kept) in [
            (2, 2, None, true),
            (3, 3, None, true),
            (3, 4, None, false),
            (5, 5, Some(5), true),
            (5, 5, Some(6), false),
            (5, 5, None, false),
            (9, 9, Some(9), true),
            (9, 8, Some(8), false),
            (9, 9, Some(8), false),
            (10, 10, Some(10), false),
        ] {
            let stored: Option<u8> = stored;
            let hash = stored.map(|byte| place(0, byte).hash);
            assert_eq!(head.keeps(place(seq, byte), hash), is_kept, "{seq} {byte} {stored:?}");
        }
    }
}
