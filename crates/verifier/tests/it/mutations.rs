//! Good inputs with a few changes, and any bytes at all: see `fuzz.rs`.

use std::env;
use std::sync::LazyLock;

use attesto_token::base64url_decode;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::fuzz;

/// How often each test runs: set it for more, as before a release.
const CASES: &str = "ATTESTO_FUZZ_CASES";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn tokens(bytes in mutated(&TOKENS)) {
        fuzz::token(&bytes);
    }

    #[test]
    fn jwk_sets(bytes in mutated(&JWK_SETS)) {
        fuzz::jwk_set(&bytes);
    }

    #[test]
    fn feeds(bytes in mutated(&FEEDS)) {
        fuzz::feed(&bytes);
    }
}

/// Else the changes would be to nothing.
#[test]
fn the_originals_are_good() {
    assert!(TOKENS.iter().filter(|bytes| fuzz::token(bytes)).count() > 50);
    assert!(JWK_SETS.iter().all(|bytes| fuzz::jwk_set(bytes)));
    assert_eq!(FEEDS.iter().filter(|bytes| fuzz::feed(bytes)).count(), 3);
}

fn cases() -> u32 {
    let given = env::var(CASES).ok();
    given.map_or(100_000, |cases| cases.parse().unwrap_or_else(|_| panic!("{CASES} is not a number")))
}

/// Whole tokens of each kind, and headers and payloads to sign.
static TOKENS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let file = fuzz::vectors();
    let tokens = file["vectors"].as_array().unwrap().iter().map(|vector| vector["token"].as_str().unwrap());
    // The few long ones teach nothing that a short one does not.
    let tokens: Vec<_> = tokens.filter(|token| token.len() < 2_000).collect();
    let parts = tokens.iter().flat_map(|token| token.split('.').take(2)).filter_map(base64url_decode);
    tokens.iter().map(|token| token.as_bytes().to_vec()).chain(parts).collect()
});

static JWK_SETS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let file = fuzz::vectors();
    let policies = file["vectors"].as_array().unwrap().iter().map(|vector| &vector["policy"]);
    let policies = policies.chain([&file["policy"]]).filter(|policy| policy["keys"].is_object());
    policies.map(|policy| policy["keys"].to_string().into_bytes()).collect()
});

static FEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let payload = |records: &str, seq: u64| -> Value {
        json!({
            "iss": "https://issuer.example", "iat": 1_800_000_000, "exp": 1_800_000_060, "epoch": 5, "seq": seq,
            "after": 0, "salt": "c2FsdCBvZiAxNiBieXRlcw", "records": records,
        })
    };
    let record = "AwAAAAECAwQFBgcICQoLDGtJ0gBrSdYA";
    let payloads = [payload("", 0), payload(record, 1), payload(&record.repeat(5), 9)];
    payloads.iter().map(|payload| payload.to_string().into_bytes()).chain([b"a.b.c".to_vec()]).collect()
});

#[derive(Clone, Debug)]
enum Edit {
    Set(u8),
    Insert(Vec<u8>),
    Remove(Index),
    Repeat(Index),
    /// Leaves nothing between two quotation marks.
    Empty,
    Cut,
}

/// One of them, changed at a few places or not at all; now and then something else altogether.
fn mutated(originals: &'static LazyLock<Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (any::<Index>(), prop::collection::vec((any::<Index>(), edit()), 0..5));
    let changed = changed.prop_map(|(original, edits)| {
        let bytes = original.get(originals.as_slice()).clone();
        edits.into_iter().fold(bytes, |bytes, (at, edit)| edit.apply(bytes, at))
    });
    prop_oneof![9 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// What parsers trip over.
const PIECES: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ".",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "-1",
    "1e999",
    "0.5",
    "\0",
    "é",
    "18446744073709551616",
    "=",
    "AAAA",
    "{\"a\":",
    "\"kid\":\"ed\",",
    "\"alg\":\"none\",",
    "\"crit\":[],",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => any::<u8>().prop_map(Edit::Set),
        4 => prop::sample::select(PIECES).prop_map(|piece| Edit::Insert(piece.as_bytes().to_vec())),
        1 => prop::collection::vec(any::<u8>(), 1..8).prop_map(Edit::Insert),
        2 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<Index>().prop_map(Edit::Repeat),
        1 => Just(Edit::Empty),
        1 => Just(Edit::Cut),
    ]
}

impl Edit {
    fn apply(self, mut bytes: Vec<u8>, at: Index) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let at = at.index(bytes.len());
        let to = |end: Index| at + 1 + end.index((bytes.len() - at).min(40));
        match self {
            Self::Set(byte) => bytes[at] = byte,
            Self::Insert(piece) => drop(bytes.splice(at..at, piece)),
            Self::Remove(end) => drop(bytes.drain(at..to(end).min(bytes.len()))),
            Self::Repeat(end) => {
                let piece = bytes[at..to(end).min(bytes.len())].repeat(50);
                drop(bytes.splice(at..at, piece));
            }
            Self::Empty => {
                let quotes = |from: usize| {
                    bytes[from..].iter().position(|byte| *byte == b'"').map(|index| from + index)
                };
                if let Some(start) = quotes(at)
                    && let Some(end) = quotes(start + 1)
                {
                    drop(bytes.drain(start + 1..end));
                }
            }
            Self::Cut => bytes.truncate(at),
        }
        bytes
    }
}
