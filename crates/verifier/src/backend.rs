//! The one thing that this crate does not do itself: checking a signature.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(all(feature = "ring", any(test, not(feature = "aws-lc"))))]
pub(crate) mod ring;

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc::VerifyingKey;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
pub(crate) use ring::VerifyingKey;
