/// Why a text is not a compact JWS that Attesto reads (RFC 7515 §7.1). Never holds a byte of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES), or than the caller allows.
    #[error("the token is too long")]
    TooLarge,
    /// Not three parts, not base64url, or a header that is not a JSON object with unique members.
    #[error("the token is not a compact JWS")]
    Malformed,
    /// The header has `crit` (RFC 7515 §4.1.11) or `b64` (RFC 7797): nothing that it could demand is understood.
    #[error("the token demands an extension that is not supported")]
    CritUnsupported,
}

/// Why a JWK, or a whole set, cannot be used (RFC 7517).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Not a JSON object with a `keys` array.
    #[error("not a JWK Set")]
    NotASet,
    /// More than 64 entries.
    #[error("the JWK Set has more than 64 keys")]
    TooManyKeys,
    /// A private or symmetric member (`d`, `k`, …) stands in a set that is meant for the public.
    #[error("the key holds private or symmetric members")]
    Private,
    /// `kid` is missing, empty or not a string.
    #[error("the key has no kid")]
    NoKid,
    /// Two keys of the set share a `kid`: neither is used.
    #[error("another key of the set has the same kid")]
    DuplicateKid,
    /// `kty`, `crv`, `alg`, `use` or `key_ops` say that this key does not verify signatures we accept.
    #[error("the key is not for verifying a supported algorithm")]
    OtherPurpose,
    /// The members of the key are missing, not canonical base64url, or contradict each other.
    #[error("the key is malformed")]
    Malformed,
    /// An RSA modulus below 2048 or above 8192 bits, an even one, or an exponent other than 65537; or a point of small
    /// order, for which anybody can sign.
    #[error("the key is too weak, or unreasonable")]
    Weak,
}
