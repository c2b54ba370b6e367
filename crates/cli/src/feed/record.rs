use attesto_core::Instant;
use attesto_store::{RecordedRevocation, StoreError};
use attesto_token::feed::{RevokedBy, Salt};
use serde::Serialize;

use crate::output::{in_words, presentable, rfc3339};

/// A record as it is shown: its id in clear, and hashed if that is wanted.
#[derive(Serialize)]
pub struct Shown {
    seq: i64,
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    not_before: String,
    expires: String,
    #[serde(skip)]
    age: String,
}

impl Shown {
    /// A record at `now`. With a salt, its id is also shown as consumers know it.
    pub fn new(record: &RecordedRevocation, salt: Option<Salt>, now: Instant) -> Result<Self, StoreError> {
        let kind = kind_of(record)?;
        let not_before = Instant::from_millis(record.not_before);
        Ok(Self {
            seq: record.seq,
            kind: kind.as_str(),
            hash: salt.map(|salt| hex(salt.hash(kind, &record.id))),
            id: record.id.clone(),
            not_before: rfc3339(not_before),
            expires: rfc3339(Instant::from_millis(record.expires_at)),
            age: in_words(now.since(not_before)),
        })
    }

    /// What stands above the lines.
    pub fn header(with_hash: bool) -> String {
        line(["seq", "kind", "not before", "expires", "age"], with_hash.then_some("hash"), "id")
    }

    /// One line.
    pub fn line(&self) -> String {
        let texts = [&self.seq.to_string(), self.kind, &self.not_before, &self.expires, &self.age];
        line(texts, self.hash.as_deref(), &presentable(&self.id))
    }
}

/// What a record ends.
pub fn kind_of(record: &RecordedRevocation) -> Result<RevokedBy, StoreError> {
    u8::try_from(record.kind).ok().and_then(RevokedBy::from_number).ok_or_else(|| StoreError::Inconsistent {
        table: "revocations",
        column: "kind",
        row: record.seq.to_string(),
    })
}

/// Lines come one by one: nobody knows how wide the next one is.
fn line([seq, kind, not_before, expires, age]: [&str; 5], hash: Option<&str>, id: &str) -> String {
    let hash = hash.map(|hash| format!("{hash:24}  ")).unwrap_or_default();
    let line = format!("{seq:>9}  {kind:7}  {not_before:24}  {expires:24}  {age:>7}  {hash}{id}");
    line.trim_end().to_owned()
}

fn hex(hash: [u8; 12]) -> String {
    let mut wide = [0; 16];
    wide[4..].copy_from_slice(&hash);
    format!("{:024x}", u128::from_be_bytes(wide))
}
