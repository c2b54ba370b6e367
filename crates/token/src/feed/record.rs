use super::FeedError;
use crate::digest::sha256;

/// The length of a record.
pub const RECORD_BYTES: usize = 24;

/// What a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevokedBy {
    /// Every token.
    All,
    /// The tokens that one key signed.
    Kid,
    /// The tokens of one client.
    Client,
    /// The tokens of one user.
    Subject,
    /// The tokens of one session.
    Session,
    /// One token.
    Jti,
}

impl RevokedBy {
    /// All of them; each stands at the place of its number.
    pub const ALL: [Self; 6] = [Self::All, Self::Kid, Self::Client, Self::Subject, Self::Session, Self::Jti];

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name, as documents and commands spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Kid => "kid",
            Self::Client => "client",
            Self::Subject => "subject",
            Self::Session => "session",
            Self::Jti => "jti",
        }
    }

    /// Whether a match alone revokes. Of the others, a token is revoked that was issued up to `not_before`.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Kid | Self::Session | Self::Jti)
    }
}

/// The secret of one epoch's identifiers: none of its bytes is zero, because some consumers keep it in C strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub(super) [u8; 16]);

impl Salt {
    /// Takes 16 bytes, none of them zero.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (!bytes.contains(&0)).then_some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// How a record names `id`: the first 12 bytes of SHA-256(salt ‖ kind ‖ id).
    pub fn hash(&self, kind: RevokedBy, id: &str) -> [u8; 12] {
        let parts = [&self.0[..], &[kind.number()], id.as_bytes()];
        let mut short = [0; SHORT];
        let digest = match fill(&mut short, &parts) {
            Some(input) => sha256(input),
            None => sha256(&parts.concat()),
        };
        let mut hash = [0; 12];
        hash.copy_from_slice(&digest[..12]);
        hash
    }
}

/// Enough for the salt and the identifiers that issuers use: these need no memory of their own to be hashed.
const SHORT: usize = 128;

/// Writes the parts one behind the other; `None` if they are too long.
fn fill<'a>(buffer: &'a mut [u8], parts: &[&[u8]]) -> Option<&'a [u8]> {
    let mut length = 0;
    for part in parts {
        buffer.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(&buffer[..length])
}

/// One record of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationRecord {
    /// What it ends.
    pub kind: RevokedBy,
    /// Which of them: [`Salt::hash`] of the claim's text, which is empty for all.
    pub id: [u8; 12],
    /// Tokens with `iat` up to this second are revoked, in seconds since 1970.
    pub not_before: u32,
    /// From this second on no token can be alive that it refuses.
    pub expires: u32,
}

impl RevocationRecord {
    /// The record on the wire, big-endian: kind, flags (0), reserved (0, 0), id, `not_before`, `expires`.
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = self.kind.number();
        bytes[4..16].copy_from_slice(&self.id);
        bytes[16..20].copy_from_slice(&self.not_before.to_be_bytes());
        bytes[20..].copy_from_slice(&self.expires.to_be_bytes());
        bytes
    }

    /// Reads records that stand one behind the other.
    ///
    /// # Errors
    ///
    /// [`FeedError::Malformed`] if one of them is not understood: to pass over it would be to accept what it refuses.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, FeedError> {
        let (records, []) = bytes.as_chunks::<RECORD_BYTES>() else { return Err(FeedError::Malformed) };
        records.iter().map(|record| Self::read(record).ok_or(FeedError::Malformed)).collect()
    }

    fn read(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (&[kind, 0, 0, 0], rest) = bytes.split_first_chunk()? else { return None };
        let (id, rest) = rest.split_first_chunk()?;
        let (not_before, expires) = rest.split_first_chunk()?;
        Some(Self {
            kind: RevokedBy::from_number(kind)?,
            id: *id,
            not_before: u32::from_be_bytes(*not_before),
            expires: u32::from_be_bytes(expires.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt(*b"a salt of 16 byt");

    fn record() -> RevocationRecord {
        RevocationRecord {
            kind: RevokedBy::Subject,
            id: SALT.hash(RevokedBy::Subject, "42"),
            not_before: 1,
            expires: 2,
        }
    }

    #[test]
    fn an_id_of_any_length_is_hashed_whole() {
        for length in [0, 1, 36, SHORT - 18, SHORT - 17, SHORT - 16, 1000] {
            let id = "x".repeat(length);
            let input = [&SALT.0[..], &[RevokedBy::Jti.number()], id.as_bytes()].concat();
            assert_eq!(SALT.hash(RevokedBy::Jti, &id), sha256(&input)[..12], "{length}");
        }
    }

    /// The digest was computed by `printf 'a salt of 16 byt\00342' | sha256sum`.
    #[test]
    fn the_layout_is_the_documented_one() {
        let hash = [0x36, 0x6a, 0x16, 0x73, 0x16, 0xb9, 0x7b, 0x6e, 0x81, 0x5e, 0x09, 0x22];
        let bytes = record().to_bytes();
        assert_eq!(bytes[..4], [3, 0, 0, 0]);
        assert_eq!(bytes[4..16], hash);
        assert_eq!(bytes[16..], [0, 0, 0, 1, 0, 0, 0, 2]);
    }

    #[test]
    fn kinds_have_their_numbers() {
        for (number, kind) in (0..).zip(RevokedBy::ALL) {
            assert_eq!((kind.number(), RevokedBy::from_number(number)), (number, Some(kind)));
        }
        assert_eq!(RevokedBy::from_number(6), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let records = RevokedBy::ALL.map(|kind| RevocationRecord { kind, not_before: u32::MAX, ..record() });
        let bytes = records.map(|record| record.to_bytes()).concat();
        assert_eq!(RevocationRecord::read_all(&bytes), Ok(records.to_vec()));
        assert_eq!(RevocationRecord::read_all(&[]), Ok(vec![]));
    }

    #[test]
    fn one_record_that_is_not_understood_spoils_them_all() {
        for (place, byte) in [(0, 6), (0, 255), (1, 1), (1, 128), (2, 1), (3, 1)] {
            let mut bytes = [record().to_bytes(), record().to_bytes()].concat();
            bytes[RECORD_BYTES + place] = byte;
            assert_eq!(RevocationRecord::read_all(&bytes), Err(FeedError::Malformed), "{place} {byte}");
        }
        for length in [1, 23, 25, 47] {
            let bytes = [record().to_bytes(); 2].concat();
            assert_eq!(RevocationRecord::read_all(&bytes[..length]), Err(FeedError::Malformed), "{length}");
        }
    }

    #[test]
    fn a_salt_has_no_zero_byte() {
        assert_eq!(Salt::new([1; 16]), Some(Salt([1; 16])));
        for place in [0, 15] {
            let mut bytes = [1; 16];
            bytes[place] = 0;
            assert_eq!(Salt::new(bytes), None);
        }
    }
}
