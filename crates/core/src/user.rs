use std::fmt;

use crate::claims::CustomClaims;
use crate::gate::Watermark;
use crate::instant::Instant;
use crate::password::PasswordHash;
use crate::white_space::is_trimmed;

/// A user's identifier: the `sub` and the `user_id` of tokens. Opaque text, never given to somebody else again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub String);

/// The name a user signs in with. Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// Why a text is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameRefused {
    /// Nothing, or over 150 characters.
    #[error("a user name has 1 to 150 characters")]
    Length,
    /// The sign-in endpoint trims what it is given, so such a name could never sign in.
    #[error("a user name must not begin or end with white space")]
    EdgeSpace,
    /// A terminal or a log would show something else than what is stored.
    #[error("a user name must not contain control characters")]
    Control,
}

/// Somebody who can sign in.
#[derive(Clone)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// Its name.
    pub username: Username,
    /// The password, hashed.
    pub password_hash: PasswordHash,
    /// Counts password changes: a sign-in that was hashing while the password changed is noticed.
    pub password_version: i64,
    /// What the operator wants both tokens to say of this user.
    pub claims: CustomClaims,
    /// When the operator disabled the user, if so.
    pub disabled_at: Option<Instant>,
    /// Sessions created at or before this are over.
    pub watermark: Watermark,
    /// When the user was added.
    pub created_at: Instant,
}

/// What the gate asks of the user of a session. Redeeming a token needs no more of them, and above all no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserStanding {
    /// When the operator disabled the user, if so.
    pub disabled_at: Option<Instant>,
    /// Sessions created at or before this are over.
    pub watermark: Watermark,
}

impl User {
    /// What the gate asks.
    pub fn standing(&self) -> UserStanding {
        UserStanding { disabled_at: self.disabled_at, watermark: self.watermark }
    }
}

impl Username {
    /// Takes a name that can sign in.
    pub fn new(text: &str) -> Result<Self, UsernameRefused> {
        if text.is_empty() || text.chars().count() > 150 {
            return Err(UsernameRefused::Length);
        }
        if text.trim_matches(is_trimmed) != text {
            return Err(UsernameRefused::EdgeSpace);
        }
        if text.chars().any(char::is_control) {
            return Err(UsernameRefused::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_can_be_typed_at_sign_in() {
        for name in ["ada", "Ada Lovelace", "a", "имя", &"n".repeat(150)] {
            assert!(Username::new(name).is_ok(), "{name:?}");
        }
        let table = [
            (String::new(), UsernameRefused::Length),
            ("n".repeat(151), UsernameRefused::Length),
            (" ada".to_owned(), UsernameRefused::EdgeSpace),
            ("ada\u{a0}".to_owned(), UsernameRefused::EdgeSpace),
            ("ada\u{1f}".to_owned(), UsernameRefused::EdgeSpace),
            ("a\0da".to_owned(), UsernameRefused::Control),
            ("a\u{1b}da".to_owned(), UsernameRefused::Control),
        ];
        for (name, refused) in table {
            assert_eq!(Username::new(&name), Err(refused), "{name:?}");
        }
    }
}
