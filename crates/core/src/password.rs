use zeroize::Zeroizing;

use crate::white_space::is_trimmed;

/// A password as typed. It has no `Debug`, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// A password, hashed, as a PHC string. It has no `Debug`: an offline guess needs nothing but this.
#[derive(Clone)]
pub struct PasswordHash(Zeroizing<String>);

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Under 8 or over 1,024 bytes. Nothing is ever cut off.
    #[error("a password has 8 to 1,024 bytes")]
    Length,
    /// The SimpleJWT endpoint trims what it is given, so such a password could never sign in.
    #[error("a password must not begin or end with white space: the sign-in endpoint trims it")]
    EdgeSpace,
    /// U+0000 is refused at sign-in.
    #[error("a password must not contain a null character")]
    Null,
    /// It stands in lists of common passwords, or is a short step from one or from the user's name.
    #[error("this password is too common: it would be among the first million guesses")]
    Common,
}

/// Fewer guesses than this and a password counts as common.
const COMMON_GUESSES: u64 = 1_000_000;

impl Password {
    /// The longest password that is hashed, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// What somebody typed to sign in: anything.
    pub fn typed(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// What somebody chose as a new password for `username`.
    ///
    /// NIST SP 800-63B-4 §3.1.1: a length, a block-list, and no rules of composition.
    pub fn chosen(text: String, username: &str) -> Result<Self, PasswordRefused> {
        let password = Self::typed(text);
        if !(8..=Self::MAX_BYTES).contains(&password.0.len()) {
            return Err(PasswordRefused::Length);
        }
        if password.0.trim_matches(is_trimmed) != password.0.as_str() {
            return Err(PasswordRefused::EdgeSpace);
        }
        if password.0.contains('\0') {
            return Err(PasswordRefused::Null);
        }
        if zxcvbn::zxcvbn(&password.0, &[username]).guesses() < COMMON_GUESSES {
            return Err(PasswordRefused::Common);
        }
        Ok(password)
    }

    /// The text, for the hasher.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PasswordHash {
    /// Wraps a PHC string.
    pub fn new(phc: String) -> Self {
        Self(Zeroizing::new(phc))
    }

    /// The PHC string, for the hasher and the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_password_is_long_unusual_and_can_sign_in() {
        let long: String =
            (1_u64..600).flat_map(|n| format!("{:x}.", n * n * 7919).into_bytes()).map(char::from).collect();
        let long = long[..Password::MAX_BYTES].to_owned();
        let table = [
            ("correct horse battery", None),
            ("Tr0ub4dor&3-zebra", None),
            ("short7!", Some(PasswordRefused::Length)),
            ("password", Some(PasswordRefused::Common)),
            ("Password1", Some(PasswordRefused::Common)),
            ("iloveyou", Some(PasswordRefused::Common)),
            ("qwertyuiop", Some(PasswordRefused::Common)),
            ("aaaaaaaaaaaa", Some(PasswordRefused::Common)),
            ("ada.lovelace", Some(PasswordRefused::Common)),
            (" correct horse battery", Some(PasswordRefused::EdgeSpace)),
            ("correct horse battery\u{a0}", Some(PasswordRefused::EdgeSpace)),
            ("correct horse battery\u{1f}", Some(PasswordRefused::EdgeSpace)),
            ("correct\0horse battery", Some(PasswordRefused::Null)),
            (long.as_str(), None),
        ];
        for (text, refused) in table {
            assert_eq!(Password::chosen(text.to_owned(), "ada.lovelace").err(), refused, "{text:?}");
        }
        assert_eq!(Password::chosen(long + "z", "ada").err(), Some(PasswordRefused::Length));
    }
}
