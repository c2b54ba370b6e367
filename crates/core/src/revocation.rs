use std::time::Duration;

use crate::authority::Authority;
use crate::instant::Instant;

/// How much longer than the longest access token a record is kept: verifiers' leeway is at most 60 s.
pub const VERIFIER_MARGIN: Duration = Duration::from_secs(120);

/// What a record of the feed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationKind {
    /// Every token.
    All = 0,
    /// The tokens that one key signed.
    Kid = 1,
    /// The tokens of one client.
    Client = 2,
    /// The tokens of one user.
    Subject = 3,
    /// The tokens of one session.
    Session = 4,
    /// One access token.
    Jti = 5,
}

/// A record of the feed: access tokens that match, and were issued up to `not_before`, are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What is ended.
    pub kind: RevocationKind,
    /// The claim's text, in clear; empty for all.
    pub id: String,
    /// Tokens with `iat` up to this second are refused.
    pub not_before: Instant,
    /// From here on no token can be alive that it refuses.
    pub expires_at: Instant,
}

impl Revocation {
    /// A record of an end at `now`; `not_before` is the watermark, or `now` where the match alone decides.
    pub fn new(
        kind: RevocationKind,
        id: String,
        not_before: Instant,
        authority: &Authority,
        now: Instant,
    ) -> Self {
        Self { kind, id, not_before, expires_at: now + authority.aftermath() }
    }
}

/// Why a session ended, as stored and shown to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user logged out.
    Logout,
    /// A refresh token was presented again after its grace.
    Replay,
    /// The operator ended it.
    Operator,
    /// The user was disabled.
    UserDisabled,
    /// The user was deleted.
    UserDeleted,
    /// The password was changed.
    PasswordChanged,
    /// The claims were changed, and the operator wanted the old ones gone.
    ClaimsChanged,
    /// The client was disabled.
    ClientDisabled,
}

impl Reason {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Replay => "replay",
            Self::Operator => "operator",
            Self::UserDisabled => "user_disabled",
            Self::UserDeleted => "user_deleted",
            Self::PasswordChanged => "password_changed",
            Self::ClaimsChanged => "claims_changed",
            Self::ClientDisabled => "client_disabled",
        }
    }
}

/// Whether an end took place now or had taken place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This call ended it.
    Ended,
    /// It was over already; nothing changed.
    AlreadyOver,
    /// There is no such thing.
    Unknown,
}
