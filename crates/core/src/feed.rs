use crate::instant::Instant;

/// Which revocation feed a database publishes. It is begun once, and anew when a backup is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// When it began, in milliseconds since 1970; a later feed has a later one.
    pub epoch: Instant,
    /// What its identifiers are hashed with.
    pub salt: [u8; 16],
}
