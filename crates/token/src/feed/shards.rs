use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::record::{RevocationRecord, RevokedBy};

/// So many that a part is small enough to be copied at each change, and so few that many share one allocation.
const SHARDS: usize = 256;

/// The records of one epoch in many small parts. Clones share the parts; a change copies those that it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    shards: Box<[Arc<Shard>]>,
    /// How many records there are of each kind.
    counts: [usize; RevokedBy::ALL.len()],
}

#[derive(Clone, Debug, Default)]
struct Shard {
    records: HashMap<Key, Times, BuildHasherDefault<IdHasher>>,
    /// Nothing in it expires before this second.
    earliest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    id: [u8; 12],
    kind: RevokedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    not_before: u32,
    expires: u32,
}

impl Shards {
    pub(super) fn has(&self, kind: RevokedBy) -> bool {
        self.counts[kind as usize] > 0
    }

    pub(super) fn not_before(&self, kind: RevokedBy, id: &[u8; 12]) -> Option<u32> {
        let key = Key { id: *id, kind };
        self.shards[key.shard()].records.get(&key).map(|times| times.not_before)
    }

    /// Two records of the same thing are as strict as both.
    pub(super) fn insert(&mut self, record: &RevocationRecord) {
        let RevocationRecord { kind, id, not_before, expires } = *record;
        let key = Key { id, kind };
        let shard = Arc::make_mut(&mut self.shards[key.shard()]);
        shard.earliest = if shard.records.is_empty() { expires } else { shard.earliest.min(expires) };
        shard
            .records
            .entry(key)
            .and_modify(|times| {
                times.not_before = times.not_before.max(not_before);
                times.expires = times.expires.max(expires);
            })
            .or_insert_with(|| {
                self.counts[kind as usize] += 1;
                Times { not_before, expires }
            });
    }

    pub(super) fn drop_expired(&mut self, now: i64) {
        for shard in &mut self.shards {
            if shard.records.is_empty() || now < i64::from(shard.earliest) {
                continue;
            }
            let shard = Arc::make_mut(shard);
            shard.records.retain(|key, times| {
                let lives = now < i64::from(times.expires);
                self.counts[key.kind as usize] -= usize::from(!lives);
                lives
            });
            shard.earliest = shard.records.values().map(|times| times.expires).min().unwrap_or_default();
            if shard.records.len() < shard.records.capacity() / 4 {
                shard.records.shrink_to_fit();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn records(&self) -> impl Iterator<Item = RevocationRecord> {
        self.shards.iter().flat_map(|shard| &shard.records).map(|(&Key { id, kind }, times)| {
            RevocationRecord { kind, id, not_before: times.not_before, expires: times.expires }
        })
    }
}

impl Default for Shards {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: vec![empty; SHARDS].into(), counts: [0; RevokedBy::ALL.len()] }
    }
}

/// `earliest` is a bound: it may differ where the records are the same.
impl PartialEq for Shard {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl Eq for Shard {}

impl Key {
    fn shard(self) -> usize {
        usize::from(self.id[0])
    }
}

/// An id is a piece of a salted SHA-256 digest: it needs no hashing again.
impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [_, _, _, _, piece @ ..] = self.id;
        state.write_u64(u64::from_ne_bytes(piece) ^ u64::from(self.kind.number()));
    }
}

#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key is hashed as one number")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, expires: u32) -> RevocationRecord {
        let mut id = [0; 12];
        id[0] = number.to_le_bytes()[0];
        id[4..8].copy_from_slice(&number.to_le_bytes());
        RevocationRecord { kind: RevokedBy::Session, id, not_before: number, expires }
    }

    #[test]
    fn what_expires_is_dropped_from_every_part() {
        let mut shards = Shards::default();
        (0..1_000).for_each(|number| shards.insert(&record(number, 10_000 + number)));
        for now in [0, 9_999, 10_000, 10_123, 10_999] {
            shards.drop_expired(i64::from(now));
            let living = (0..1_000).filter(|number| now < 10_000 + number);
            assert_eq!(shards.len(), living.clone().count(), "{now}");
            assert_eq!(shards.records().count(), shards.len());
            for number in 0..1_000 {
                let found = shards.not_before(RevokedBy::Session, &record(number, 0).id);
                assert_eq!(found, (now < 10_000 + number).then_some(number), "{now} {number}");
            }
        }
    }

    #[test]
    fn a_change_copies_one_part() {
        let mut shards = Shards::default();
        (0..1_000).for_each(|number| shards.insert(&record(number, 10_000)));
        let before = shards.clone();
        shards.insert(&record(7, 11_000));
        shards.drop_expired(9_999);
        let copied = shards.shards.iter().zip(&before.shards).filter(|(new, old)| !Arc::ptr_eq(new, old));
        assert_eq!(copied.count(), 1);
    }
}
