#[cfg(not(any(feature = "sha2", feature = "aws-lc", feature = "ring")))]
compile_error!("attesto-token needs a SHA-256: enable the feature `sha2` (default), `aws-lc` or `ring`");

/// SHA-256 (FIPS 180-4), by the fastest library that is there.
#[cfg(feature = "aws-lc")]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

/// SHA-256 (FIPS 180-4).
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

/// SHA-256 (FIPS 180-4).
#[cfg(all(feature = "sha2", not(any(feature = "aws-lc", feature = "ring"))))]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
