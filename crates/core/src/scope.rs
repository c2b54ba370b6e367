use std::fmt;
use std::str::FromStr;

/// A set of scope tokens in their given order (RFC 6749 §3.3). May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

/// Longest list, in bytes: with the longest claims, issuer and audience, a token still has less than 8 KiB.
const MAX_BYTES: usize = 512;

/// The text is no list of scope tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is a list of words separated by single spaces, of printable ASCII without quotes and backslashes, 512 bytes at most"
)]
pub struct ScopeRefused;

impl Scope {
    /// The `scope` claim: `None` if there is no scope, because an empty one is not written (RFC 9068 §2.2.3).
    pub fn claim(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.to_string())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl FromStr for Scope {
    type Err = ScopeRefused;

    fn from_str(text: &str) -> Result<Self, ScopeRefused> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_BYTES {
            return Err(ScopeRefused);
        }
        text.split(' ').map(scope_token).collect::<Result<_, _>>().map(Self)
    }
}

fn scope_token(word: &str) -> Result<String, ScopeRefused> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if word.is_empty() || !word.bytes().all(allowed) {
        return Err(ScopeRefused);
    }
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_are_words() {
        assert_eq!("a b:c".parse::<Scope>().unwrap().claim().as_deref(), Some("a b:c"));
        assert_eq!("".parse::<Scope>().unwrap().claim(), None);
        assert!("s".repeat(512).parse::<Scope>().is_ok());
        assert!("s".repeat(513).parse::<Scope>().is_err());
        for text in [" ", "a  b", " a", "a ", "a\"", "a\\b", "ä", "a\tb"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }
}
