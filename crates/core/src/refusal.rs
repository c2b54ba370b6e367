use std::time::Duration;

/// Why the authority said no: one variant per reason, and no wire format. Each dialect maps all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown user, wrong password and disabled user: deliberately one.
    #[error("the credentials are not those of an active user")]
    CredentialsInvalid,
    /// Too many failed sign-ins of this user or from this address.
    #[error("too many failed sign-ins")]
    SignInThrottled {
        /// How long until the next attempt is looked at.
        retry_after: Duration,
    },
    /// Validly signed, yet not a token that the session knows.
    #[error("the refresh token is not one of its session")]
    RefreshTokenUnknown,
    /// It was used before and its grace is over; the session has been ended.
    #[error("the refresh token was already used; its session is revoked")]
    RefreshTokenReplayed,
    /// The row is gone, or never was in this database.
    #[error("the session is unknown")]
    SessionUnknown,
    /// Ended by the user, the operator, a watermark or a replay.
    #[error("the session is revoked")]
    SessionRevoked,
    /// Idle or absolute end.
    #[error("the session has expired")]
    SessionExpired,
    /// The session belongs to another client.
    #[error("the session belongs to another client")]
    ClientMismatch,
    /// The operator disabled the client.
    #[error("the client is disabled")]
    ClientDisabled,
    /// The user is disabled or deleted.
    #[error("the user is disabled or deleted")]
    UserInactive,
}
