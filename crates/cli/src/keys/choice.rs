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

pub fn states() -> impl TypedValueParser<Value = KeyState> {
    PossibleValuesParser::new(KeyState::ALL.map(KeyState::as_str)).try_map(|name| name.parse())
}

pub fn purposes() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new([Purpose::Token.as_str(), Purpose::Feed.as_str()]).try_map(|name| name.parse())
}

#[cfg(test)]
mod tests {
    use attesto_core::{AuthorityId, Instant, KekId};
    use clap::Parser as _;

    use super::*;

    fn table(kids: &[&str]) -> KeyTable {
        let key = |kid: &&str| KeyRecord {
            kid: (*kid).to_owned(),
            algorithm: SigningAlgorithm::Rs256,
            purpose: Purpose::Token,
            state: KeyState::Staged,
            public_jwk: String::new(),
            sealed_private_key: None,
            kek_id: KekId(String::new()),
            authority_id: AuthorityId(String::new()),
            created_at: Instant::from_millis(0),
            published_at: None,
            active_at: None,
            demoted_at: None,
            retired_at: None,
            destroyed_at: None,
            compromised_at: None,
            mac: Vec::new(),
        };
        KeyTable { keys: kids.iter().map(key).collect(), ledger: None }
    }

    #[test]
    fn a_kid_is_named_by_its_beginning() {
        let table = table(&["abcdefgh1", "abcdefgh2", "abcdefgh", "-_xyz-12"]);
        let found =
            |typed| find(&table, typed).map(|key| key.kid.as_str()).map_err(|cause| cause.to_string());
        assert_eq!(found("abcdefgh1"), Ok("abcdefgh1"));
        assert_eq!(found("abcdefgh"), Ok("abcdefgh"), "in full, though others begin like it");
        assert_eq!(found("-_xyz-"), Ok("-_xyz-12"));
        let ambiguous =
            "\"abcdef\" is the beginning of 3 keys: abcdefgh1, abcdefgh2, abcdefgh; give more of it";
        assert_eq!(found("abcdef"), Err(ambiguous.to_owned()));
        let too_short = |typed: &str| {
            Err(format!("{typed:?} is too short to name a key; give at least 6 characters of its kid"))
        };
        for typed in ["-_xyz", "a", ""] {
            assert_eq!(found(typed), too_short(typed));
        }
        let unknown = "there is no key \"ABCDEFGH\"; `attesto keys list` shows all";
        assert_eq!(found("ABCDEFGH"), Err(unknown.to_owned()));
    }

    /// One in 64 of them begins with a hyphen.
    #[test]
    fn a_kid_may_look_like_an_option() {
        for command in
            [&["compromise"][..], &["retire"], &["destroy"], &["export-public"], &["rotate", "--kid"]]
        {
            let typed = [&["attesto", "keys"], command, &["-abcdef"]].concat();
            assert!(crate::Cli::try_parse_from(&typed).is_ok(), "{typed:?}");
            let typed = [&["attesto", "keys"], command, &["-abcdef", "--json"]].concat();
            assert!(crate::Cli::try_parse_from(&typed).is_ok_and(|cli| cli.json), "{typed:?}");
        }
        let with_reason = ["attesto", "keys", "compromise", "-abcdef", "--reason", "leaked"];
        assert!(crate::Cli::try_parse_from(with_reason).is_ok());
    }
}
