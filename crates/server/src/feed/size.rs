use attesto_core::Instant;
use attesto_store::FeedHead;
use attesto_token::feed::{FEED_ANSWER_LIFETIME, FeedClaims, RECORD_BYTES};
use attesto_token::{base64url_encode, typ};
use serde_json::json;

/// A signature of ES256, with which the feed is signed (RFC 7518 §3.4).
const SIGNATURE_BYTES: usize = 64;

/// The length of a snapshot that is signed at `now` by the key `kid` and holds so many records; not compressed.
pub fn snapshot_bytes(issuer: &str, head: &FeedHead, records: usize, kid: &str, now: Instant) -> usize {
    let header = json!({"typ": typ::REVOCATIONS, "alg": "ES256", "kid": kid}).to_string();
    let empty = json!(FeedClaims {
        iss: issuer.to_owned(),
        iat: now.seconds(),
        exp: now.seconds() + FEED_ANSWER_LIFETIME,
        epoch: head.feed.epoch.as_millis().unsigned_abs(),
        salt: base64url_encode(head.feed.salt),
        seq: head.seq.unsigned_abs(),
        after: 0,
        records: String::new(),
    });
    let payload = empty.to_string().len() + encoded(records * RECORD_BYTES);
    encoded(header.len()) + 1 + encoded(payload) + 1 + encoded(SIGNATURE_BYTES)
}

/// The length of so many bytes in base64url, without padding.
fn encoded(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
