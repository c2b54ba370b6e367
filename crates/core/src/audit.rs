use std::str::FromStr;

use crate::client::ClientId;
use crate::instant::Instant;
use crate::revocation::Reason;
use crate::session::SessionId;
use crate::user::UserId;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The authority was set up.
    Initialised,
    /// A user signed in; a session began.
    SignedIn,
    /// A sign-in was refused.
    SignInRefused,
    /// A rotated refresh token was presented again within its grace, from elsewhere than the rotation.
    RefreshRetried,
    /// A session ended.
    SessionRevoked,
    /// All sessions of a user ended.
    UserSessionsRevoked,
    /// All sessions of a client ended.
    ClientSessionsRevoked,
    /// All sessions ended.
    AllSessionsRevoked,
    /// Another revocation feed began.
    FeedRenewed,
    /// A user was added.
    UserAdded,
    /// A user was disabled, and all sessions with it.
    UserDisabled,
    /// A user was enabled.
    UserEnabled,
    /// A user was deleted, and all sessions with it.
    UserDeleted,
    /// A password was set by the operator, ending all sessions.
    PasswordChanged,
    /// A user's claims were set.
    ClaimsChanged,
    /// A client was added.
    ClientAdded,
    /// A client's settings were changed.
    ClientChanged,
    /// A client was disabled, and all sessions with it.
    ClientDisabled,
    /// A client was enabled.
    ClientEnabled,
    /// A signing key was made, and published.
    KeyGenerated,
    /// A signing key of somebody else was taken in, and published.
    KeyImported,
    /// A signing key began to sign.
    KeyPromoted,
    /// A signing key stopped signing.
    KeyDemoted,
    /// A signing key left the JWK Set.
    KeyRetired,
    /// The private half of a signing key was erased.
    KeyDestroyed,
    /// A signing key was declared leaked.
    KeyCompromised,
    /// The row of a signing key was renewed under another key-encryption key.
    KeyRewrapped,
    /// All keys were bound together by a ledger, for the first time.
    LedgerBegun,
    /// The chain of the audit was given up, and another one begins.
    AuditRenewed,
}

/// The text names no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event has this name; docs/operations.md lists them")]
pub struct UnknownEvent;

impl Event {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::Initialised,
        Self::SignedIn,
        Self::SignInRefused,
        Self::RefreshRetried,
        Self::SessionRevoked,
        Self::UserSessionsRevoked,
        Self::ClientSessionsRevoked,
        Self::AllSessionsRevoked,
        Self::FeedRenewed,
        Self::UserAdded,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::PasswordChanged,
        Self::ClaimsChanged,
        Self::ClientAdded,
        Self::ClientChanged,
        Self::ClientDisabled,
        Self::ClientEnabled,
        Self::KeyGenerated,
        Self::KeyImported,
        Self::KeyPromoted,
        Self::KeyDemoted,
        Self::KeyRetired,
        Self::KeyDestroyed,
        Self::KeyCompromised,
        Self::KeyRewrapped,
        Self::LedgerBegun,
        Self::AuditRenewed,
    ];

    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialised => "initialised",
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::RefreshRetried => "refresh_retried",
            Self::SessionRevoked => "session_revoked",
            Self::UserSessionsRevoked => "user_sessions_revoked",
            Self::ClientSessionsRevoked => "client_sessions_revoked",
            Self::AllSessionsRevoked => "all_sessions_revoked",
            Self::FeedRenewed => "feed_renewed",
            Self::UserAdded => "user_added",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::UserDeleted => "user_deleted",
            Self::PasswordChanged => "password_changed",
            Self::ClaimsChanged => "claims_changed",
            Self::ClientAdded => "client_added",
            Self::ClientChanged => "client_changed",
            Self::ClientDisabled => "client_disabled",
            Self::ClientEnabled => "client_enabled",
            Self::KeyGenerated => "key_generated",
            Self::KeyImported => "key_imported",
            Self::KeyPromoted => "key_promoted",
            Self::KeyDemoted => "key_demoted",
            Self::KeyRetired => "key_retired",
            Self::KeyDestroyed => "key_destroyed",
            Self::KeyCompromised => "key_compromised",
            Self::KeyRewrapped => "key_rewrapped",
            Self::LedgerBegun => "ledger_begun",
            Self::AuditRenewed => "audit_renewed",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the command line, by the name of their account.
    Operator(String),
    /// A request over HTTP.
    Request {
        /// Where it came from.
        address: String,
        /// The request's identifier, as in the log.
        request_id: String,
    },
    /// The server itself.
    Server,
}

/// A row of the audit table, written in the transaction of what it records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
    /// Who did it.
    pub actor: Actor,
    /// The user concerned.
    pub user_id: Option<UserId>,
    /// The client concerned.
    pub client_id: Option<ClientId>,
    /// The session concerned.
    pub session_id: Option<SessionId>,
    /// The signing key concerned.
    pub kid: Option<String>,
    /// Why, in a word or the operator's sentence.
    pub reason: Option<String>,
}

impl AuditEvent {
    /// An event that concerns nobody yet; the builder methods say whom.
    pub fn new(event: Event, actor: Actor, at: Instant) -> Self {
        Self { at, event, actor, user_id: None, client_id: None, session_id: None, kid: None, reason: None }
    }

    /// Concerning a user.
    pub fn user(self, id: &UserId) -> Self {
        Self { user_id: Some(id.clone()), ..self }
    }

    /// Concerning a client.
    pub fn client(self, id: &ClientId) -> Self {
        Self { client_id: Some(id.clone()), ..self }
    }

    /// Concerning a session.
    pub fn session(self, id: &SessionId) -> Self {
        Self { session_id: Some(id.clone()), ..self }
    }

    /// Concerning a signing key.
    pub fn key(self, kid: &str) -> Self {
        Self { kid: Some(kid.to_owned()), ..self }
    }

    /// For a reason from the closed list.
    pub fn because(self, reason: Reason) -> Self {
        self.note(reason.as_str())
    }

    /// With a word of explanation.
    pub fn note(self, text: &str) -> Self {
        Self { reason: Some(text.to_owned()), ..self }
    }
}

impl FromStr for Event {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(UnknownEvent)
    }
}

/// A row of the audit table as it was read. Nothing in it is certain to have been written by this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its number; rises.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// The request, as in the log.
    pub request_id: Option<String>,
    /// The user concerned.
    pub user_id: Option<String>,
    /// The client concerned.
    pub client_id: Option<String>,
    /// The session concerned.
    pub session_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The signing key concerned.
    pub kid: Option<String>,
}

/// Which rows of the audit are asked for: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// What happened.
    pub event: Option<Event>,
    /// To whom.
    pub user_id: Option<UserId>,
    /// At which client.
    pub client_id: Option<ClientId>,
    /// In which session.
    pub session_id: Option<SessionId>,
    /// With which signing key.
    pub kid: Option<String>,
    /// Then or later.
    pub since: Option<Instant>,
    /// Earlier than that.
    pub until: Option<Instant>,
}
