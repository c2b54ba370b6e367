use attesto_core::{KeyRecord, KeyState, KeyTable, Line, Purpose, SigningAlgorithm};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::failure::Failure;

/// A shorter beginning of a `kid` is a slip of the keyboard.
const SHORTEST: usize = 6;

/// The one key whose `kid` is what the operator typed, or begins with it.
pub fn find<'a>(table: &'a KeyTable, typed: &str) -> Result<&'a KeyRecord, Failure> {
    if let Some(key) = table.find(typed) {
        return Ok(key);
    }
    let candidates: Vec<_> = table.keys.iter().filter(|key| key.kid.starts_with(typed)).collect();
    if typed.chars().count() < SHORTEST {
        return Err(Failure::new(format!(
            "{typed:?} is too short to name a key; give at least {SHORTEST} characters of its kid"
        )));
    }
    match candidates.as_slice() {
        [] => Err(Failure::new(format!("there is no key {typed:?}; `attesto keys list` shows all"))),
        [key] => Ok(key),
        several => {
            let kids: Vec<_> = several.iter().map(|key| key.kid.as_str()).collect();
            Err(Failure::new(format!(
                "{typed:?} is the beginning of {} keys: {}; give more of it",
                kids.len(),
                kids.join(", ")
            )))
        }
    }
}

/// Which keys, of those that follow each other.
#[derive(Args)]
pub struct Which {
    /// What the keys sign with [default: as the only keys that there are, else as configured for access tokens]
    #[arg(long, value_name = "ALG", value_parser = algorithms())]
    algorithm: Option<SigningAlgorithm>,
    /// What the keys sign: tokens, or the revocation feed
    #[arg(long, default_value = "token", value_parser = purposes())]
    purpose: Purpose,
}

impl Which {
    /// The keys that are meant.
    pub fn line(&self, table: &KeyTable, configured: SigningAlgorithm) -> Line {
        let line = |algorithm| Line { purpose: self.purpose, algorithm };
        let in_use = |line: Line| {
            let lives = |key: &KeyRecord| matches!(key.state, KeyState::Active | KeyState::Staged);
            table.keys.iter().any(|key| key.line() == line && lives(key))
        };
        if let Some(algorithm) = self.algorithm {
            return line(algorithm);
        }
        let others: Vec<_> =
            SigningAlgorithm::ALL.map(line).into_iter().filter(|line| in_use(*line)).collect();
        match others.as_slice() {
            [only] => *only,
            _ => line(configured),
        }
    }
}

fn algorithms() -> impl TypedValueParser<Value = SigningAlgorithm> {
    PossibleValuesParser::new(SigningAlgorithm::ALL.map(SigningAlgorithm::as_str))
        .try_map(|name| name.parse())
}

fn purposes() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new([Purpose::Token.as_str(), Purpose::Feed.as_str()]).try_map(|name| name.parse())
}
