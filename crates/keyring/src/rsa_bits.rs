use std::fmt;
use std::str::FromStr;

/// How long the modulus of a new RSA key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaBits {
    /// Enough until 2030 (NIST SP 800-57 part 1, table 4), and the fastest.
    #[default]
    B2048,
    /// Enough beyond 2030; a signature costs about three times as much.
    B3072,
    /// A signature costs about seven times as much.
    B4096,
}

impl fmt::Display for RsaBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::B2048 => "2048",
            Self::B3072 => "3072",
            Self::B4096 => "4096",
        })
    }
}

/// RSA keys of this length are not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is 2048, 3072 or 4096")]
pub struct UnknownRsaBits;

impl FromStr for RsaBits {
    type Err = UnknownRsaBits;

    fn from_str(text: &str) -> Result<Self, UnknownRsaBits> {
        [Self::B2048, Self::B3072, Self::B4096]
            .into_iter()
            .find(|bits| bits.to_string() == text)
            .ok_or(UnknownRsaBits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_as_it_is_written() {
        for bits in [RsaBits::B2048, RsaBits::B3072, RsaBits::B4096] {
            assert_eq!(bits.to_string().parse(), Ok(bits));
        }
        for text in ["", "1024", "2047", "02048", " 2048", "8192", "B2048"] {
            assert_eq!(text.parse::<RsaBits>(), Err(UnknownRsaBits), "{text:?}");
        }
    }
}
