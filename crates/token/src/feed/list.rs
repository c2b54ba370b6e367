use super::FeedError;
use super::answer::FeedAnswer;
use super::record::{RevocationRecord, RevokedBy, Salt};
use super::shards::Shards;

/// What a token is revoked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocableClaims<'a> {
    /// The key that signed it, as its header says.
    pub kid: Option<&'a str>,
    /// The client that obtained it.
    pub client_id: Option<&'a str>,
    /// The user.
    pub sub: Option<&'a str>,
    /// The session.
    pub sid: Option<&'a str>,
    /// The token itself.
    pub jti: Option<&'a str>,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
}

/// How far a consumer has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which feed.
    pub epoch: u64,
    /// Its newest record that is known.
    pub seq: u64,
}

/// Everything that is known to be revoked. It only grows, until its records expire.
///
/// A clone is cheap: it shares its records with the original, and what changes later is copied in small parts. So a
/// reader can hold one while the next is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    present: Option<Epoch>,
    /// Given up since; what they hold counts until the last of it expires.
    former: Vec<Epoch>,
}

/// The records of one epoch, to keep over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecords {
    /// How far the epoch was followed.
    pub position: Position,
    /// Of its identifiers.
    pub salt: Salt,
    /// In no order.
    pub records: Vec<RevocationRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Epoch {
    position: Position,
    salt: Salt,
    /// The id of the kind *all* is the same for every token.
    all: [u8; 12],
    shards: Shards,
}

impl RevocationList {
    /// Takes an answer in; `now` is in seconds since 1970. What is refused changes nothing.
    ///
    /// # Errors
    ///
    /// [`FeedError::KeyRevoked`], [`FeedError::OlderEpoch`], [`FeedError::SaltChanged`], [`FeedError::RolledBack`], or
    /// [`FeedError::Gap`], after which a snapshot is wanted.
    pub fn apply(&mut self, answer: &FeedAnswer, now: i64) -> Result<(), FeedError> {
        self.check(answer)?;
        match &mut self.present {
            Some(present) if present.position.epoch == answer.epoch => present.merge(answer),
            present => self.former.extend(present.replace(Epoch::begin(answer))),
        }
        self.drop_expired(now);
        Ok(())
    }

    /// What revokes a token, if anything does.
    pub fn revoked_by(&self, token: &RevocableClaims<'_>) -> Option<RevokedBy> {
        self.epochs().find_map(|epoch| epoch.revoked_by(token))
    }

    /// Whether this key was declared leaked: nothing that it signed is good.
    pub fn revokes_key(&self, kid: &str) -> bool {
        let signed_by = RevocableClaims { kid: Some(kid), ..RevocableClaims::default() };
        self.epochs().any(|epoch| epoch.refuses(RevokedBy::Kid, &signed_by))
    }

    /// How far it has followed; `None` before the first answer.
    pub fn position(&self) -> Option<Position> {
        self.present.as_ref().map(|present| present.position)
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.epochs().map(|epoch| epoch.shards.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the records that no living token can match; `now` is in seconds since 1970.
    pub fn drop_expired(&mut self, now: i64) {
        self.present.iter_mut().chain(&mut self.former).for_each(|epoch| epoch.shards.drop_expired(now));
        self.former.retain(|epoch| !epoch.shards.is_empty());
    }

    /// All that it holds, one epoch behind the other. [`restore`](Self::restore) makes a list of it again.
    pub fn to_epochs(&self) -> Vec<EpochRecords> {
        let mut epochs: Vec<_> = self.epochs().map(Epoch::to_records).collect();
        epochs.sort_by_key(|epoch| epoch.position.epoch);
        epochs
    }

    /// The list that was kept as these epochs. They are believed: keep them as safely as the program itself. Nothing is
    /// dropped: whether the clock is right is known when the next answer was read.
    pub fn restore(mut epochs: Vec<EpochRecords>) -> Self {
        epochs.sort_by_key(|epoch| epoch.position.epoch);
        let mut former: Vec<_> = epochs.iter().map(Epoch::of_records).collect();
        Self { present: former.pop(), former }
    }

    fn check(&self, answer: &FeedAnswer) -> Result<(), FeedError> {
        if self.revokes_key(&answer.kid) {
            return Err(FeedError::KeyRevoked);
        }
        match &self.present {
            Some(present) if answer.epoch < present.position.epoch => Err(FeedError::OlderEpoch),
            Some(present) if answer.epoch == present.position.epoch => present.check(answer),
            Some(_) | None if answer.after > 0 => Err(FeedError::Gap),
            Some(_) | None => Ok(()),
        }
    }

    fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        self.present.iter().chain(&self.former)
    }
}

impl Epoch {
    fn new(position: Position, salt: Salt) -> Self {
        Self { position, salt, all: salt.hash(RevokedBy::All, ""), shards: Shards::default() }
    }

    fn begin(answer: &FeedAnswer) -> Self {
        let mut epoch = Self::new(Position { epoch: answer.epoch, seq: answer.seq }, answer.salt);
        epoch.merge(answer);
        epoch
    }

    fn of_records(kept: &EpochRecords) -> Self {
        let mut epoch = Self::new(kept.position, kept.salt);
        kept.records.iter().for_each(|record| epoch.shards.insert(record));
        epoch
    }

    fn to_records(&self) -> EpochRecords {
        let Self { position, salt, shards, .. } = self;
        EpochRecords { position: *position, salt: *salt, records: shards.records().collect() }
    }

    fn check(&self, answer: &FeedAnswer) -> Result<(), FeedError> {
        if answer.salt != self.salt {
            return Err(FeedError::SaltChanged);
        }
        if answer.seq < self.position.seq {
            return Err(FeedError::RolledBack);
        }
        if answer.after > self.position.seq { Err(FeedError::Gap) } else { Ok(()) }
    }

    fn merge(&mut self, answer: &FeedAnswer) {
        self.position.seq = answer.seq;
        answer.records.iter().for_each(|record| self.shards.insert(record));
    }

    fn revoked_by(&self, token: &RevocableClaims<'_>) -> Option<RevokedBy> {
        RevokedBy::ALL.into_iter().find(|kind| self.refuses(*kind, token))
    }

    fn refuses(&self, kind: RevokedBy, token: &RevocableClaims<'_>) -> bool {
        // Most kinds have no records most of the time: no hash is made for them.
        if !self.shards.has(kind) {
            return false;
        }
        let Some(id) = self.id(kind, token) else { return false };
        let not_before = self.shards.not_before(kind, &id);
        not_before.is_some_and(|not_before| kind.is_final() || token.iat <= i64::from(not_before))
    }

    fn id(&self, kind: RevokedBy, token: &RevocableClaims<'_>) -> Option<[u8; 12]> {
        match kind {
            RevokedBy::All => Some(self.all),
            _ => token.id(kind).map(|id| self.salt.hash(kind, id)),
        }
    }
}

impl<'a> RevocableClaims<'a> {
    fn id(&self, kind: RevokedBy) -> Option<&'a str> {
        match kind {
            RevokedBy::All => Some(""),
            RevokedBy::Kid => self.kid,
            RevokedBy::Client => self.client_id,
            RevokedBy::Subject => self.sub,
            RevokedBy::Session => self.sid,
            RevokedBy::Jti => self.jti,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt(*b"a salt of 16 byt");
    const NOW: i64 = 1_000;

    fn record(kind: RevokedBy, id: &str, not_before: u32, expires: u32) -> RevocationRecord {
        RevocationRecord { kind, id: SALT.hash(kind, id), not_before, expires }
    }

    fn answer(epoch: u64, after: u64, seq: u64, records: &[RevocationRecord]) -> FeedAnswer {
        let (kid, records) = ("feed".to_owned(), records.to_vec());
        FeedAnswer { kid, epoch, salt: SALT, seq, after, issued_at: NOW, records }
    }

    fn token() -> RevocableClaims<'static> {
        RevocableClaims {
            kid: Some("k"),
            client_id: Some("c"),
            sub: Some("u"),
            sid: Some("s"),
            jti: Some("j"),
            iat: 100,
        }
    }

    fn list(records: &[RevocationRecord]) -> RevocationList {
        let mut list = RevocationList::default();
        list.apply(&answer(5, 0, 10, records), NOW).unwrap();
        list
    }

    fn position(list: &RevocationList) -> (u64, u64) {
        list.position().map(|Position { epoch, seq }| (epoch, seq)).unwrap()
    }

    #[test]
    fn each_kind_looks_at_its_claim() {
        for (kind, id, other) in [
            (RevokedBy::All, "", "u"),
            (RevokedBy::Kid, "k", "s"),
            (RevokedBy::Client, "c", "u"),
            (RevokedBy::Subject, "u", "c"),
            (RevokedBy::Session, "s", "j"),
            (RevokedBy::Jti, "j", "s"),
        ] {
            for (not_before, revokes) in [(99, kind.is_final()), (100, true), (101, true)] {
                let list = list(&[record(kind, id, not_before, 2_000)]);
                assert_eq!(list.revoked_by(&token()), revokes.then_some(kind), "{kind:?} {not_before}");
                let nobody = RevocableClaims { iat: 100, ..RevocableClaims::default() };
                assert_eq!(list.revoked_by(&nobody).is_some(), revokes && kind == RevokedBy::All);
            }
            assert_eq!(list(&[record(kind, other, 100, 2_000)]).revoked_by(&token()), None, "{kind:?}");
        }
    }

    #[test]
    fn an_answer_continues_what_is_known() {
        for (epoch, after, seq, expected) in [
            (5, 10, 10, Ok(())),
            (5, 10, 12, Ok(())),
            (5, 3, 12, Ok(())),
            (5, 0, 10, Ok(())),
            (5, 11, 12, Err(FeedError::Gap)),
            (5, 3, 9, Err(FeedError::RolledBack)),
            (5, 0, 9, Err(FeedError::RolledBack)),
            (4, 0, 99, Err(FeedError::OlderEpoch)),
            (6, 0, 0, Ok(())),
            (6, 1, 1, Err(FeedError::Gap)),
        ] {
            let mut list = list(&[]);
            let before = list.clone();
            let news = answer(epoch, after, seq, &[record(RevokedBy::Subject, "u", 100, 2_000)]);
            assert_eq!(list.apply(&news, NOW), expected, "{epoch} {after} {seq}");
            match expected {
                Ok(()) => assert_eq!((position(&list), list.len()), ((epoch, seq), 1)),
                Err(_) => assert_eq!(list, before, "nothing changes"),
            }
        }
        let first = |after| RevocationList::default().apply(&answer(5, after, 10, &[]), NOW);
        assert_eq!((first(0), first(1)), (Ok(()), Err(FeedError::Gap)));
    }

    #[test]
    fn a_salt_belongs_to_its_epoch() {
        let salt = Salt::new([1; 16]).unwrap();
        let mut list = list(&[]);
        let news = FeedAnswer { salt, ..answer(5, 10, 11, &[]) };
        assert_eq!(list.apply(&news, NOW), Err(FeedError::SaltChanged));
        assert_eq!(list.apply(&FeedAnswer { salt, ..answer(6, 0, 0, &[]) }, NOW), Ok(()));
    }

    #[test]
    fn a_new_epoch_does_not_pardon_anybody() {
        let salt = Salt::new([1; 16]).unwrap();
        let mut list = list(&[record(RevokedBy::Subject, "u", 100, 2_000)]);
        list.apply(&FeedAnswer { salt, ..answer(6, 0, 3, &[]) }, NOW).unwrap();
        assert_eq!(list.revoked_by(&token()), Some(RevokedBy::Subject));
        assert_eq!((position(&list), list.len()), ((6, 3), 1));
        list.drop_expired(1_999);
        assert_eq!(list.former.len(), 1);
        list.drop_expired(2_000);
        assert!(list.former.is_empty() && list.is_empty());
    }

    #[test]
    fn records_of_the_same_thing_are_as_strict_as_both() {
        let orders = [[(50, 2_000), (100, 1_500)], [(100, 1_500), (50, 2_000)]];
        for records in orders.map(|order| order.map(|(at, until)| record(RevokedBy::Subject, "u", at, until)))
        {
            let mut list = list(&records[..1]);
            list.apply(&answer(5, 10, 11, &records[1..]), NOW).unwrap();
            assert_eq!(list.revoked_by(&token()), Some(RevokedBy::Subject));
            list.drop_expired(1_999);
            assert_eq!((list.len(), list.revoked_by(&token())), (1, Some(RevokedBy::Subject)));
            list.drop_expired(2_000);
            assert_eq!((list.len(), list.revoked_by(&token())), (0, None));
            assert!(RevokedBy::ALL.iter().all(|kind| !list.present.as_ref().unwrap().shards.has(*kind)));
        }
    }

    #[test]
    fn a_leaked_key_signs_no_answer_that_is_taken() {
        let mut list = list(&[record(RevokedBy::Kid, "feed", 0, 2_000)]);
        assert_eq!(list.apply(&answer(5, 10, 10, &[]), NOW), Err(FeedError::KeyRevoked));
        assert_eq!(list.apply(&answer(6, 0, 10, &[]), NOW), Err(FeedError::KeyRevoked));
        let kid = "next".to_owned();
        assert_eq!(list.apply(&FeedAnswer { kid, ..answer(5, 10, 10, &[]) }, NOW), Ok(()));
    }

    #[test]
    fn a_clone_is_not_changed_by_what_comes_later() {
        let mut list = list(&[record(RevokedBy::Session, "t", 100, 2_000)]);
        let before = list.clone();
        list.apply(&answer(5, 10, 11, &[record(RevokedBy::Session, "s", 100, 3_000)]), NOW).unwrap();
        assert_eq!(
            (list.revoked_by(&token()), before.revoked_by(&token())),
            (Some(RevokedBy::Session), None)
        );
        list.drop_expired(2_000);
        assert_eq!((list.len(), before.len()), (1, 1));
    }

    #[test]
    fn what_is_kept_is_the_same_list_again() {
        let salt = Salt::new([1; 16]).unwrap();
        let mut list = list(&[record(RevokedBy::Subject, "u", 100, 2_000)]);
        let other =
            RevocationRecord { id: salt.hash(RevokedBy::Jti, "x"), ..record(RevokedBy::Jti, "x", 1, 1_500) };
        list.apply(&FeedAnswer { salt, ..answer(6, 0, 3, &[other]) }, NOW).unwrap();
        let restored = RevocationList::restore(list.to_epochs());
        assert_eq!(restored, list);
        assert_eq!(RevocationList::restore(list.to_epochs().into_iter().rev().collect()), list);
        assert_eq!(RevocationList::restore(Vec::new()), RevocationList::default());
    }
}
