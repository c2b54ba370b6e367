use serde::{Deserialize, Serialize};

use super::FeedError;
use super::record::{RevocationRecord, Salt};
use crate::base64url;
use crate::strict_json;

/// The longest answer that is looked at, in bytes, before and after decompression: three quarters of a million records.
pub const MAX_FEED_BYTES: usize = 32 * 1024 * 1024;

/// From `iat` to `exp`, in seconds.
pub const FEED_ANSWER_LIFETIME: i64 = 60;

/// How far the clocks of authority and consumer may lie apart, in seconds.
const LEEWAY: i64 = 60;

/// JSON numbers are exact up to here in every language.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The payload of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedClaims {
    /// The authority's URL, byte for byte as configured.
    pub iss: String,
    /// The records up to this second are in it.
    pub iat: i64,
    /// An answer is taken before this second.
    pub exp: i64,
    /// When the feed began, in milliseconds since 1970. A later feed has a higher one.
    pub epoch: u64,
    /// 16 bytes in base64url.
    pub salt: String,
    /// The position of the newest record.
    pub seq: u64,
    /// Every living record after this position is in it.
    pub after: u64,
    /// Records of 24 bytes in base64url.
    pub records: String,
}

/// An answer whose signature was verified, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedAnswer {
    /// The key that signed it.
    pub kid: String,
    /// Of which feed it is.
    pub epoch: u64,
    /// Of the identifiers.
    pub salt: Salt,
    /// The position of the newest record.
    pub seq: u64,
    /// Every living record after this position is in it; 0 for everything that is alive.
    pub after: u64,
    /// When it was issued, in seconds since 1970.
    pub issued_at: i64,
    /// What is revoked.
    pub records: Vec<RevocationRecord>,
}

impl FeedAnswer {
    /// Reads the payload of an answer of `issuer` that `kid` signed. Verify the signature, and the type in the header,
    /// first. `now` is in seconds since 1970; clocks may lie 60 seconds apart.
    ///
    /// # Errors
    ///
    /// [`FeedError::Malformed`], [`FeedError::IssuerMismatch`], [`FeedError::IssuedInFuture`] or [`FeedError::Expired`].
    pub fn read(payload: &[u8], kid: &str, issuer: &str, now: i64) -> Result<Self, FeedError> {
        let claims: FeedClaims = strict_json::parse(payload).map_err(|_| FeedError::Malformed)?;
        if claims.iss != issuer {
            return Err(FeedError::IssuerMismatch);
        }
        if now >= claims.exp.saturating_add(LEEWAY) {
            return Err(FeedError::Expired);
        }
        if claims.iat > now.saturating_add(LEEWAY) {
            return Err(FeedError::IssuedInFuture);
        }
        let in_range =
            [claims.epoch, claims.seq, claims.after].into_iter().all(|number| number <= MAX_INTEGER);
        if !in_range || claims.after > claims.seq {
            return Err(FeedError::Malformed);
        }
        let records = base64url::decode(&claims.records).ok_or(FeedError::Malformed)?;
        Ok(Self {
            kid: kid.to_owned(),
            epoch: claims.epoch,
            salt: salt(&claims.salt).ok_or(FeedError::Malformed)?,
            seq: claims.seq,
            after: claims.after,
            issued_at: claims.iat,
            records: RevocationRecord::read_all(&records)?,
        })
    }
}

fn salt(text: &str) -> Option<Salt> {
    Salt::new(base64url::decode(text)?.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::feed::{RECORD_BYTES, RevokedBy};

    const ISSUER: &str = "https://issuer.example";
    const NOW: i64 = 1_800_000_000;

    fn claims() -> Value {
        let record = RevocationRecord { kind: RevokedBy::All, id: [7; 12], not_before: 1, expires: 2 };
        json!({
            "iss": ISSUER, "iat": NOW, "exp": NOW + 60, "epoch": 5, "seq": 9, "after": 3, "new": [1],
            "salt": base64url::encode([1; 16]), "records": base64url::encode(record.to_bytes()),
        })
    }

    fn read(claims: &Value) -> Result<FeedAnswer, FeedError> {
        FeedAnswer::read(claims.to_string().as_bytes(), "k", ISSUER, NOW)
    }

    fn with(name: &str, value: Value) -> Result<FeedAnswer, FeedError> {
        let mut claims = claims();
        claims[name] = value;
        read(&claims)
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = read(&claims()).unwrap();
        assert_eq!((answer.epoch, answer.seq, answer.after, answer.issued_at), (5, 9, 3, NOW));
        assert_eq!((answer.kid.as_str(), answer.salt.as_bytes()), ("k", &[1; 16]));
        assert_eq!(answer.records.len(), 1);
        assert_eq!(answer.records[0].kind, RevokedBy::All);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let too_large = json!(MAX_INTEGER + 1);
        for (name, value) in [
            ("seq", json!(-1)),
            ("seq", json!(9.5)),
            ("seq", json!("9")),
            ("seq", too_large.clone()),
            ("epoch", too_large.clone()),
            ("after", json!(10)),
            ("after", json!(null)),
            ("iat", json!(1.5)),
            ("exp", json!("soon")),
            ("iss", json!([ISSUER])),
            ("salt", json!("")),
            ("salt", json!(base64url::encode([1; 15]))),
            ("salt", json!(base64url::encode([1; 17]))),
            ("salt", json!(base64url::encode([0; 16]))),
            ("salt", json!("AQEBAQEBAQEBAQEBAQEBAQ==")),
            ("records", json!(base64url::encode([0; RECORD_BYTES - 1]))),
            ("records", json!("?")),
            ("records", json!([])),
        ] {
            assert_eq!(with(name, value.clone()), Err(FeedError::Malformed), "{name} {value}");
        }
        for name in ["iss", "iat", "exp", "epoch", "seq", "after", "salt", "records"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(read(&claims), Err(FeedError::Malformed), "without {name}");
        }
        let twice = claims().to_string().replace("\"seq\":9", "\"seq\":9,\"seq\":9");
        assert_eq!(FeedAnswer::read(twice.as_bytes(), "k", ISSUER, NOW), Err(FeedError::Malformed));
    }

    #[test]
    fn the_largest_numbers_are_read() {
        assert_eq!(with("seq", json!(MAX_INTEGER)).unwrap().seq, MAX_INTEGER);
        assert_eq!(with("after", json!(9)).unwrap().after, 9);
    }

    #[test]
    fn an_answer_is_of_its_issuer_and_of_its_time() {
        assert_eq!(with("iss", json!("https://issuer.example/")), Err(FeedError::IssuerMismatch));
        assert_eq!(with("exp", json!(NOW - 60)), Err(FeedError::Expired));
        assert!(with("exp", json!(NOW - 59)).is_ok());
        assert_eq!(with("iat", json!(NOW + 61)), Err(FeedError::IssuedInFuture));
        assert!(with("iat", json!(NOW + 60)).is_ok());
        assert_eq!(with("exp", json!(i64::MIN)), Err(FeedError::Expired));
        assert!(with("exp", json!(i64::MAX)).is_ok());
    }
}
