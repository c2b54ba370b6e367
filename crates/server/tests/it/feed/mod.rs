//! `GET /revocations`: what a consumer is answered, how soon, and what it costs.

mod access;
mod answers;
mod begin;
mod clock;
mod epoch;
mod keys;
mod signatures;
mod silence;
mod waiting;

use actix_web::test::TestRequest;
use attesto_core::{Instant, RevocationKind, VERIFIER_MARGIN};
use attesto_token::feed::{FeedAnswer, MAX_FEED_BYTES, RevocationRecord, RevokedBy, Salt};
use attesto_token::{Algorithm, CompactJws, Jwk, JwkSet, PublicKey, typ};
use futures_util::future::LocalBoxFuture;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::fixture::{Act, Answer, Authority, FEED_KEYS, ISSUER, MILLISECOND, SECOND, claims, soon};

pub const FEED: &str = "/revocations";

/// With a query, `?` included, or without one.
pub fn ask(authority: &Authority, query: &str) -> LocalBoxFuture<'static, Answer> {
    authority.send(TestRequest::get().uri(&format!("{FEED}{query}")))
}

/// Checks an answer as a consumer does, and takes it apart.
pub async fn take(authority: &Authority, answer: &Answer) -> FeedAnswer {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let keys = key_set(authority, FEED_KEYS).await;
    read(authority, &keys, &answer.body).unwrap_or_else(|problem| panic!("{problem}: {}", answer.body))
}

pub async fn key_set(authority: &Authority, path: &str) -> JwkSet {
    JwkSet::parse(authority.send(TestRequest::get().uri(path)).await.body.as_bytes()).unwrap()
}

/// Checks an answer with these keys.
pub fn read(authority: &Authority, keys: &JwkSet, jws: &str) -> Result<FeedAnswer, String> {
    let parts = CompactJws::split_within(jws, MAX_FEED_BYTES).map_err(|error| error.to_string())?;
    let header = parts.header().map_err(|error| error.to_string())?;
    if header.typ.as_deref() != Some(typ::REVOCATIONS) {
        return Err(format!("typ {:?}", header.typ));
    }
    let kid = header.kid.unwrap();
    let key = keys.keys.iter().find(|key| key.kid == kid).ok_or("unknown kid")?;
    if header.alg != key.algorithm.as_str() || !verifies(key, jws) {
        return Err("wrong signature".to_owned());
    }
    let now = authority.clock.now().seconds();
    FeedAnswer::read(&parts.payload().unwrap(), &kid, ISSUER, now).map_err(|error| error.to_string())
}

fn verifies(jwk: &Jwk, jws: &str) -> bool {
    let (input, _) = jws.rsplit_once('.').unwrap();
    let signature = CompactJws::split_within(jws, MAX_FEED_BYTES).unwrap().signature().unwrap();
    match (&jwk.key, jwk.algorithm) {
        (PublicKey::Ec(key), Algorithm::Es256) => {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed());
            key.verify(input.as_bytes(), &signature).is_ok()
        }
        (PublicKey::Rsa(key), Algorithm::Rs256) => {
            let key = RsaPublicKeyComponents { n: &key.n, e: &key.e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &signature).is_ok()
        }
        _ => false,
    }
}

/// The record of an end at `at`, hashed here.
pub fn record(
    salt: Salt,
    kind: RevocationKind,
    id: &str,
    not_before: Instant,
    at: Instant,
) -> RevocationRecord {
    let kind = RevokedBy::from_number(kind as u8).unwrap();
    // To the end of its last second.
    let expires = (at + 601 * SECOND + VERIFIER_MARGIN - MILLISECOND).seconds();
    RevocationRecord {
        kind,
        id: salt.hash(kind, id),
        not_before: not_before.seconds().try_into().unwrap(),
        expires: expires.try_into().unwrap(),
    }
}

/// Signs in, and out again. Gives the session.
pub async fn end_a_session(authority: &Authority) -> String {
    let refresh = authority.sign_in().await.refresh;
    authority.blacklist(&refresh).await.is(200, "{}");
    claims(&refresh)["sid"].as_str().unwrap().to_owned()
}

/// Ends a user's sessions by connections that are not the server's.
pub async fn end_from_outside(authority: &Authority) {
    authority.operator(&[Act::RevokeSessions]).await;
}

/// Waits until this many records were published.
pub async fn published(authority: &Authority, seq: u64) -> FeedAnswer {
    soon(async || {
        // Under a clock that stands still, the server cannot vouch for an answer for longer than ten seconds.
        let answer = Some(ask(authority, "").await).filter(|answer| answer.status == 200)?;
        Some(take(authority, &answer).await).filter(|answer| answer.seq == seq)
    })
    .await
}

/// Writes records as if `count` sessions had ended, each at its own position from `first` on; they live till then.
pub fn insert_many(authority: &Authority, first: u64, count: u64, expires: Instant) {
    let (last, expires) = (first + count - 1, expires.as_millis());
    authority.folder.sql(&format!(
        "BEGIN IMMEDIATE;
         WITH RECURSIVE place (seq) AS (VALUES ({first}) UNION ALL SELECT seq + 1 FROM place WHERE seq < {last})
         INSERT INTO revocations (seq, kind, id, not_before, expires_at)
         SELECT seq, 4, 'session-' || seq, 1000, {expires} FROM place;
         UPDATE revocation_counter SET seq = {last};
         COMMIT"
    ));
}
