use std::str::FromStr;

use super::algorithm::{Line, SigningAlgorithm};
use crate::authority::AuthorityId;
use crate::instant::Instant;

/// Where a key stands in its life. It moves downwards only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Published, and signs nothing yet.
    Staged,
    /// Signs. One per purpose and algorithm.
    Active,
    /// Published, signs nothing new.
    Retiring,
    /// No longer published; the authority keeps the public half.
    Retired,
    /// The private half is erased; the authority keeps the public half while a refresh token may need it.
    Destroyed,
    /// Leaked: unpublished and refused.
    Compromised,
}

impl KeyState {
    /// All of them, in the order in which a key goes through them.
    pub const ALL: [Self; 6] =
        [Self::Staged, Self::Active, Self::Retiring, Self::Retired, Self::Destroyed, Self::Compromised];

    /// Whether the key stands in the JWK Set.
    pub fn is_published(self) -> bool {
        matches!(self, Self::Staged | Self::Active | Self::Retiring)
    }

    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
            Self::Compromised => "compromised",
        }
    }
}

/// A stored text is none of those that this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an unknown word")]
pub struct UnknownWord;

impl FromStr for KeyState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownWord)
    }
}

/// What a key signs. The two are never mixed, and never published in one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Access and refresh tokens.
    Token,
    /// The revocation feed.
    Feed,
}

impl Purpose {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Feed => "feed",
        }
    }
}

impl FromStr for Purpose {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Token, Self::Feed].into_iter().find(|purpose| purpose.as_str() == text).ok_or(UnknownWord)
    }
}

/// Which key-encryption key sealed a row: 8 bytes, as 16 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekId(pub String);

/// A signing key as the store holds it: public half, sealed private half, state, instants, and a MAC over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Its one algorithm.
    pub algorithm: SigningAlgorithm,
    /// What it signs.
    pub purpose: Purpose,
    /// Where it stands.
    pub state: KeyState,
    /// The public half: a JWK as JSON text.
    pub public_jwk: String,
    /// The private half, sealed; `None` once destroyed, and for a key that was imported to verify only.
    pub sealed_private_key: Option<Vec<u8>>,
    /// The key-encryption key that opens it and made the MAC.
    pub kek_id: KekId,
    /// The database it was made for.
    pub authority_id: AuthorityId,
    /// When it was made.
    pub created_at: Instant,
    /// When it entered the JWK Set.
    pub published_at: Option<Instant>,
    /// When it began to sign.
    pub active_at: Option<Instant>,
    /// When it stopped signing.
    pub demoted_at: Option<Instant>,
    /// When it left the JWK Set.
    pub retired_at: Option<Instant>,
    /// When the private half was erased.
    pub destroyed_at: Option<Instant>,
    /// When it was declared leaked.
    pub compromised_at: Option<Instant>,
    /// Over everything above except the sealed half, under a subkey of the key-encryption key.
    pub mac: Vec<u8>,
}

impl KeyRecord {
    /// The line of keys that it belongs to.
    pub fn line(&self) -> Line {
        Line { purpose: self.purpose, algorithm: self.algorithm }
    }

    // An instant of a move never lies before the move ahead of it, whatever the clock says: guards count from them.

    pub(super) fn promoted(&self, now: Instant) -> Self {
        let active_at = self.published_at.map_or(now, |before| before.max(now));
        Self { state: KeyState::Active, active_at: Some(active_at), ..self.clone() }
    }

    pub(super) fn demoted(&self, now: Instant) -> Self {
        let demoted_at = self.active_at.map_or(now, |before| before.max(now));
        Self { state: KeyState::Retiring, demoted_at: Some(demoted_at), ..self.clone() }
    }

    pub(super) fn retired(&self, now: Instant) -> Self {
        let retired_at = self.demoted_at.map_or(now, |before| before.max(now));
        Self { state: KeyState::Retired, retired_at: Some(retired_at), ..self.clone() }
    }

    pub(super) fn destroyed(&self, now: Instant) -> Self {
        // What was compromised stays so: its tokens are not to be trusted again.
        let state = match self.state {
            KeyState::Compromised => KeyState::Compromised,
            _ => KeyState::Destroyed,
        };
        Self { state, sealed_private_key: None, destroyed_at: Some(now), ..self.clone() }
    }

    pub(super) fn compromised(&self, now: Instant) -> Self {
        Self { state: KeyState::Compromised, compromised_at: Some(now), ..self.clone() }
    }
}
