use std::time::Duration;

use crate::key::SigningAlgorithm;

/// How long tokens and sessions live, and what signs them, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of an access token.
    pub access_lifetime: Duration,
    /// A session ends when it is not refreshed for this long.
    pub idle_lifetime: Duration,
    /// A session ends this long after sign-in, whatever happens.
    pub absolute_lifetime: Duration,
    /// For how long the direct predecessor of a refresh token still gets the same successor. A client may differ.
    pub grace_interval: Duration,
    /// What signs access tokens. A client may differ.
    pub access_token_algorithm: SigningAlgorithm,
    /// What signs refresh tokens. A client may differ.
    pub refresh_token_algorithm: SigningAlgorithm,
}

impl Policy {
    /// The longest life of an access token that can be configured.
    pub const MAX_ACCESS_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// The longest grace interval that can be configured.
    pub const MAX_GRACE_INTERVAL: Duration = Duration::from_secs(120);
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            access_lifetime: Duration::from_secs(10 * 60),
            idle_lifetime: 7 * DAY,
            absolute_lifetime: 30 * DAY,
            grace_interval: Duration::from_secs(30),
            access_token_algorithm: SigningAlgorithm::Rs256,
            refresh_token_algorithm: SigningAlgorithm::Rs256,
        }
    }
}
