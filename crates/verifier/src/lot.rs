use std::hash::{BuildHasher, Hasher, RandomState};

/// A number between 0 and 1. Not for secrets: it only keeps verifiers from asking in step.
pub(crate) fn lot() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
