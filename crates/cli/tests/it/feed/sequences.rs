//! Answers that come in any order, twice or not at all.

use attesto_token::base64url_encode;
use attesto_token::feed::{FeedAnswer, RevocableClaims, RevocationList, RevocationRecord, RevokedBy, Salt};
use serde_json::{Value, json};

use super::programs::Programs;
use super::vectors::{reason, vectors};
use crate::random::Random;

const ISSUER: &str = "https://issuer.example";
const BEGIN: u32 = 1_800_000_000;

/// From `not_before` to `expires` of a record: short, so that some expire on the way.
const RECORD_LIFETIME: u32 = 40;

/// Of each kind, so that records of the same thing are frequent.
const IDS: u32 = 3;

/// One process each; the decoder is asked many more.
const FOR_PROGRAMS: u64 = 200;
const FOR_THE_DECODER: u64 = 2_000;

#[test]
fn consumers_end_where_a_snapshot_begins() {
    let Some(programs) = Programs::find() else { return };
    let keys = &vectors()["keys"];
    for program in ["run_vectors.py", "run_vectors.mjs"] {
        let sequences: Vec<_> = (0..FOR_PROGRAMS).map(Sequence::random).collect();
        let said = programs.ask(program, sequences.iter().map(|sequence| sequence.as_vector(keys)));
        for (sequence, said) in sequences.iter().zip(said) {
            sequence.judge(program, &serde_json::from_value::<Vec<Said>>(said).unwrap());
        }
    }
}

#[test]
fn the_decoder_ends_where_a_snapshot_begins() {
    let mut accepted = 0;
    for seed in 0..FOR_THE_DECODER {
        let sequence = Sequence::random(seed);
        accepted += sequence.judge("attesto-token", &sequence.decode());
    }
    println!("{FOR_THE_DECODER} sequences, {accepted} answers accepted");
}

/// What came of one answer, and what revokes each of the tokens after it.
#[derive(serde::Deserialize)]
struct Said {
    verdict: String,
    revoked: Vec<Option<String>>,
}

/// Answers of one authority as they arrive somewhere. The last one is its newest snapshot.
struct Sequence {
    seed: u64,
    arrivals: Vec<Arrival>,
}

struct Arrival {
    now: u32,
    answer: Answer,
}

#[derive(Clone)]
struct Answer {
    iat: u32,
    epoch: u8,
    seq: u32,
    after: u32,
    records: Vec<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Record {
    kind: RevokedBy,
    id: u32,
    not_before: u32,
}

/// Every token has a claim of its own, but for the key.
#[derive(Clone, Copy)]
struct Token {
    id: u32,
    iat: u32,
}

impl Sequence {
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut authority = History::default();
        let mut answers = Vec::new();
        for _ in 0..random.below(12) + 3 {
            authority.go_on(&mut random);
            for _ in 0..random.below(3) {
                let after = random.below(authority.seq() + 1);
                answers.push(authority.answer(if random.one_in(3) { 0 } else { after }));
            }
        }
        // Lost, or there up to three times, and in no order.
        let mut arriving: Vec<_> =
            answers.iter().flat_map(|answer| vec![answer.clone(); random.below(4) as usize]).collect();
        if random.one_in(2) {
            random.shuffle(&mut arriving);
        }
        arriving.push(authority.answer(0));
        let mut arrivals = Vec::new();
        let mut now = authority.now;
        for answer in arriving {
            now += u32::from(random.one_in(4));
            arrivals.push(Arrival { now, answer });
        }
        Self { seed, arrivals }
    }

    fn as_vector(&self, keys: &Value) -> Value {
        let steps = self.arrivals.iter().map(|Arrival { now, answer }| {
            let checks = tokens().map(|token| {
                json!({"now": now, "kid": kid(token), "claims": {
                    "client_id": id(token.id), "sub": id(token.id), "sid": id(token.id), "jti": id(token.id),
                    "iat": token.iat,
                }})
            });
            json!({
                "payload": answer.payload(), "kid": "feed", "now": now, "checks": checks.collect::<Vec<_>>(),
            })
        });
        json!({"issuer": ISSUER, "keys": keys, "steps": steps.collect::<Vec<_>>()})
    }

    fn decode(&self) -> Vec<Said> {
        let mut list = RevocationList::default();
        let take = |Arrival { now, answer }: &Arrival| {
            let now = i64::from(*now);
            let read = FeedAnswer::read(answer.payload().as_bytes(), "feed", ISSUER, now);
            let applied = read.and_then(|answer| list.apply(&answer, now)).map_err(reason);
            list.drop_expired(now);
            let verdict =
                applied.map_or_else(|reason| format!("refused:{reason}"), |()| "accepted".to_owned());
            let revoked_by = |token| {
                let (kid, id) = (kid(token), id(token.id));
                let claims = RevocableClaims {
                    kid: Some(&kid),
                    client_id: Some(&id),
                    sub: Some(&id),
                    sid: Some(&id),
                    jti: Some(&id),
                    iat: token.iat.into(),
                };
                list.revoked_by(&claims).map(|kind| kind.as_str().to_owned())
            };
            Said { verdict, revoked: tokens().map(revoked_by).collect() }
        };
        self.arrivals.iter().map(take).collect()
    }

    /// Compares with what the rules say, written once more: without a state that goes along, from all that arrived.
    /// Returns how many answers were accepted.
    #[track_caller]
    fn judge(&self, who: &str, said: &[Said]) -> usize {
        let place = |step| format!("{who}, sequence {}, step {step}", self.seed);
        assert_eq!(said.len(), self.arrivals.len());
        let mut accepted: Vec<&Answer> = Vec::new();
        for (step, (Arrival { now, answer }, said)) in self.arrivals.iter().zip(said).enumerate() {
            let verdict = verdict(&accepted, answer);
            assert_eq!(said.verdict, verdict, "{}", place(step));
            if verdict == "accepted" {
                accepted.push(answer);
            }
            for (token, revoked) in tokens().zip(&said.revoked) {
                let expected = accepted.iter().any(|answer| answer.revokes(token, *now));
                assert_eq!(revoked.is_some(), expected, "{}: {revoked:?} of {}", place(step), token.id);
            }
        }
        let (Arrival { now, answer }, last) = (self.arrivals.last().unwrap(), said.last().unwrap());
        assert_eq!(last.verdict, "accepted", "the newest snapshot: {}", place(said.len()));
        let is_of_one_epoch = accepted.iter().all(|other| other.epoch == answer.epoch);
        for (token, revoked) in tokens().zip(&last.revoked) {
            let by_snapshot = answer.revokes(token, *now);
            assert!(revoked.is_some() || !by_snapshot, "{}", place(said.len()));
            assert!(revoked.is_none() || by_snapshot || !is_of_one_epoch, "{}", place(said.len()));
        }
        accepted.len()
    }
}

/// By the rules, after everything that was accepted.
fn verdict(accepted: &[&Answer], answer: &Answer) -> &'static str {
    let epoch = accepted.iter().map(|answer| answer.epoch).max();
    let of_epoch = accepted.iter().filter(|other| Some(other.epoch) == epoch);
    let seq = of_epoch.map(|answer| answer.seq).max().unwrap_or(0);
    match epoch {
        Some(epoch) if answer.epoch < epoch => "refused:older_epoch",
        Some(epoch) if answer.epoch == epoch && answer.seq < seq => "refused:rolled_back",
        Some(epoch) if answer.epoch == epoch && answer.after <= seq => "accepted",
        _ if answer.after == 0 => "accepted",
        _ => "refused:gap",
    }
}

/// What an authority has ended so far.
#[derive(Default)]
struct History {
    now: u32,
    epoch: u8,
    records: Vec<Record>,
}

impl History {
    fn go_on(&mut self, random: &mut Random) {
        self.now = self.now.max(BEGIN) + random.below(8);
        if random.one_in(8) {
            *self = Self { now: self.now, epoch: self.epoch + 1, records: Vec::new() };
        }
        for _ in 0..random.below(4) {
            // All, and a key, would leave little to look at if they were as frequent.
            let kind = if random.one_in(12) { random.below(2) } else { 2 + random.below(4) };
            let kind = RevokedBy::ALL[kind as usize];
            let id = random.below(IDS);
            let not_before = self.now - random.below(12);
            self.records.push(Record { kind, id, not_before });
        }
    }

    fn seq(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap()
    }

    fn answer(&self, after: u32) -> Answer {
        let new = self.records.iter().skip(after as usize);
        let records = new.filter(|record| record.lives(self.now)).copied().collect();
        Answer { iat: self.now, epoch: self.epoch, seq: self.seq(), after, records }
    }
}

impl Answer {
    fn payload(&self) -> String {
        let salt = salt(self.epoch);
        let records: Vec<_> = self.records.iter().flat_map(|record| record.on_the_wire(salt)).collect();
        json!({
            "iss": ISSUER, "iat": self.iat, "exp": self.iat + 60, "epoch": self.epoch,
            "salt": base64url_encode(salt.as_bytes()), "seq": self.seq, "after": self.after,
            "records": base64url_encode(records),
        })
        .to_string()
    }

    fn revokes(&self, token: Token, now: u32) -> bool {
        self.records.iter().any(|record| record.lives(now) && record.revokes(token))
    }
}

impl Record {
    fn lives(self, now: u32) -> bool {
        now < self.not_before + RECORD_LIFETIME
    }

    fn revokes(self, token: Token) -> bool {
        let is_it = match self.kind {
            RevokedBy::All => true,
            RevokedBy::Kid => kid(token) == self.text(),
            _ => token.id == self.id,
        };
        let match_alone = matches!(self.kind, RevokedBy::Kid | RevokedBy::Session | RevokedBy::Jti);
        is_it && (match_alone || token.iat <= self.not_before)
    }

    fn text(self) -> String {
        match self.kind {
            RevokedBy::All => String::new(),
            RevokedBy::Kid => format!("key {}", self.id),
            _ => id(self.id),
        }
    }

    fn on_the_wire(self, salt: Salt) -> [u8; 24] {
        let id = salt.hash(self.kind, &self.text());
        let expires = self.not_before + RECORD_LIFETIME;
        RevocationRecord { kind: self.kind, id, not_before: self.not_before, expires }.to_bytes()
    }
}

/// Those that each consumer is asked about: of every identifier, of some seconds.
fn tokens() -> impl Iterator<Item = Token> {
    (0..IDS).flat_map(|id| [0, 10, 20, 30, 40].map(|later| Token { id, iat: BEGIN + later }))
}

fn id(number: u32) -> String {
    format!("id {number}")
}

/// Two of the three identifiers have one key.
fn kid(token: Token) -> String {
    format!("key {}", token.id / 2)
}

fn salt(epoch: u8) -> Salt {
    Salt::new([epoch + 1; 16]).unwrap()
}
