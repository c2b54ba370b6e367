//! What the authority knows and how it decides.
//!
//! Everything here is pure: no I/O, no async, no HTTP, no SQL, no clock and no randomness. The store reads and writes
//! these types, the server signs and speaks; the rules stand here, each with a table of tests beside it.

mod audience;
mod audit;
mod audit_break;
mod audit_chain;
mod audit_purge;
mod audit_walk;
mod authority;
mod claims;
mod client;
mod encoding;
mod feed;
mod gate;
mod grant;
mod instant;
mod key;
mod password;
mod policy;
mod redemption;
mod redirect_uri;
mod refusal;
mod revocation;
mod scope;
mod secret;
mod session;
mod throttle;
mod user;
mod white_space;

pub use audience::{AudienceRefused, parse_audience};
pub use audit::{Actor, AuditEvent, AuditFilter, Event, RecordedEvent, UnknownEvent};
pub use audit_break::AuditBreak;
pub use audit_chain::{AuditEdition, AuditHead, AuditLink, AuditPlace, ChainedEvent, SealedAuditHead};
pub use audit_purge::AuditPurge;
pub use audit_walk::{AuditSearch, AuditWalk};
pub use authority::{Authority, AuthorityId};
pub use claims::{ClaimsRefused, CustomClaims};
pub use client::{Client, ClientId, ClientKind};
pub use encoding::Encoding;
pub use feed::Feed;
pub use gate::Watermark;
pub use grant::{AccessGrant, RefreshGrant};
pub use instant::Instant;
pub use key::{
    Guards, Haste, KekId, KeyChange, KeyFacts, KeyLedger, KeyMoves, KeyPolicy, KeyRecord, KeyRefusal,
    KeyState, KeyStep, KeyTable, KeyUse, LEAD, Line, PlannedStep, Purpose, ServerReport, SigningAlgorithm,
    UnknownSigningAlgorithm,
};
pub use password::{Password, PasswordHash, PasswordRefused};
pub use policy::Policy;
pub use redemption::{Keep, Presented, Redemption, Repeat, Rotate, Rotation, Standing};
pub use redirect_uri::{RedirectUriRefused, parse_redirect_uri};
pub use refusal::Refusal;
pub use revocation::{Ending, Reason, Revocation, RevocationKind, VERIFIER_MARGIN};
pub use scope::{Scope, ScopeRefused};
pub use secret::{Digest, Jti};
pub use session::{Opening, Session, SessionId};
pub use throttle::{Attempts, Blocked, ThrottleLimits};
pub use user::{User, UserId, UserStanding, Username, UsernameRefused};
pub use white_space::is_trimmed;
