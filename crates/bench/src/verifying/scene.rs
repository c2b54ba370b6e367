use std::fs;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use attesto_token::feed::{
    FeedAnswer, FeedClaims, RevocableClaims, RevocationList, RevocationRecord, RevokedBy, Salt,
};
use attesto_token::{
    Algorithm, CompactJws, EcPublicKey, Jwk, JwkSet, PublicKey, RsaPublicKey, base64url_encode, typ,
};
use attesto_verifier::{Fetch, FetchError, FetchRequest, FetchResponse, Verifier, VerifierBuilder};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::json;

use super::contender::{Contender, Goal, Way};
use crate::Outcome;
use crate::stats::real;

/// In the feed.
pub const RECORDS: usize = 200_000;

const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "orders";
const NOW: i64 = 1_800_000_000;
const KID: &str = "nZnJ5yVb0yhoHNBWQ3YQPyWv0Ev8ctxZ1xUZdHzvr5M";
const SALT: [u8; 16] = *b"salt of 16 bytes";

/// A token, and verifiers that know its issuer.
pub struct Scene {
    key: ParsedPublicKey,
    token: String,
    signature: Vec<u8>,
    without_feed: Verifier,
    with_feed: Verifier,
    cached: Verifier,
    list: RevocationList,
}

impl Scene {
    pub fn set() -> Outcome<Self> {
        let keys = Keys::make()?;
        let mut list = RevocationList::default();
        list.apply(&snapshot(0), NOW)?;
        let token = keys.token()?;
        Ok(Self {
            key: components(&keys.token).to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?,
            signature: CompactJws::split(&token)?.signature()?,
            token,
            without_feed: builder().build_offline(&keys.jwks()?)?,
            with_feed: followed(builder(), &keys)?,
            cached: followed(builder().token_cache(1_000), &keys)?,
            list,
        })
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// All ways to check; the bare one first.
    pub fn contenders(&self) -> Vec<Contender<'_>> {
        let Self { key, token, signature, without_feed, with_feed, cached, list } = self;
        let message = token.rsplit_once('.').map_or("", |(message, _)| message);
        let contender = |name, way, goal| Contender { name, way, goal };
        vec![
            contender("bare", Way::Bare(key, message.as_bytes(), signature), None),
            contender("verify", Way::Verify(without_feed, token), Some(Goal::WithoutFeed)),
            contender("verify, with feed", Way::Verify(with_feed, token), Some(Goal::WithFeed)),
            contender("the same, cached", Way::Verify(cached, token), Some(Goal::Cached)),
            contender("look-up alone", Way::LookUp(list, claims()), Some(Goal::LookUp)),
        ]
    }
}

/// What a record takes, by what this process grows with ten more lists.
pub fn bytes_per_record() -> Outcome<f64> {
    const LISTS: u64 = 10;
    let answers: Vec<_> = (1..=LISTS).map(|seed| snapshot(seed * 1_000_000)).collect();
    let mut lists = Vec::new();
    let before = resident_bytes()?;
    for answer in &answers {
        let mut list = RevocationList::default();
        list.apply(answer, NOW)?;
        lists.push(list);
    }
    let grown = resident_bytes()?.saturating_sub(before);
    let records: usize = lists.iter().map(RevocationList::len).sum();
    Ok(real(usize::try_from(grown)?) / real(records))
}

pub fn builder() -> VerifierBuilder {
    Verifier::builder(ISSUER).audience(AUDIENCE).clock(|| NOW)
}

/// A verifier that has taken the snapshot in.
fn followed(builder: VerifierBuilder, keys: &Keys) -> Outcome<Verifier> {
    let gate = Gate::new();
    gate.open();
    let verifier = builder.fetcher(Published::of(keys)?.behind(gate)).build_blocking()?;
    let begun = Instant::now();
    while verifier.status().revocations.is_none_or(|feed| feed.records < RECORDS) {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("the verifier does not take its snapshot".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(verifier)
}

/// What an issuer signs with.
pub struct Keys {
    token: RsaKeyPair,
    feed: EcdsaKeyPair,
}

impl Keys {
    pub fn make() -> Outcome<Self> {
        let feed = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { token: RsaKeyPair::generate(KeySize::Rsa2048)?, feed })
    }

    pub fn token(&self) -> Outcome<String> {
        let RevocableClaims { client_id, sub, sid, jti, iat, .. } = claims();
        let header = json!({"typ": typ::ACCESS, "alg": "RS256", "kid": KID});
        let payload = json!({
            "iss": ISSUER, "sub": sub, "aud": AUDIENCE, "client_id": client_id, "iat": iat, "exp": NOW + 290,
            "jti": jti, "sid": sid, "scope": "orders:read orders:write", "token_type": "access",
        });
        let input = signing_input(&header, payload.to_string().as_bytes());
        let mut signature = vec![0; self.token.public_modulus_len()];
        self.token.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)?;
        Ok(format!("{input}.{}", base64url_encode(signature)))
    }

    fn jwks(&self) -> Outcome<JwkSet> {
        let PublicKeyComponents { n, e } = components(&self.token);
        let key = PublicKey::Rsa(RsaPublicKey::new(n, e)?);
        Ok(JwkSet::new(vec![Jwk { kid: KID.to_owned(), algorithm: Algorithm::Rs256, key }]))
    }

    fn feed_jwks(&self) -> Outcome<JwkSet> {
        let point = self.feed.public_key().as_ref();
        let key = PublicKey::Ec(EcPublicKey::p256(&point[1..33], &point[33..])?);
        Ok(JwkSet::new(vec![Jwk { kid: "feed".to_owned(), algorithm: Algorithm::Es256, key }]))
    }

    fn feed_answer(&self, seq: u64, records: &[RevocationRecord]) -> Outcome<String> {
        let header = json!({"typ": typ::REVOCATIONS, "alg": "ES256", "kid": "feed"});
        let records: Vec<u8> = records.iter().flat_map(RevocationRecord::to_bytes).collect();
        let claims = FeedClaims {
            iss: ISSUER.to_owned(),
            iat: NOW,
            exp: NOW + 60,
            epoch: 1,
            salt: base64url_encode(SALT),
            seq,
            after: 0,
            records: base64url_encode(records),
        };
        let input = signing_input(&header, &serde_json::to_vec(&claims)?);
        let signature = self.feed.sign(&SystemRandom::new(), input.as_bytes())?;
        Ok(format!("{input}.{}", base64url_encode(signature)))
    }
}

/// What an issuer publishes, without a network in between: first a feed without records, and behind a gate a snapshot.
pub struct Published {
    jwks: String,
    feed_keys: String,
    empty: String,
    snapshot: String,
    gate: Gate,
}

impl Published {
    pub fn of(keys: &Keys) -> Outcome<Self> {
        let FeedAnswer { seq, records, .. } = snapshot(0);
        Ok(Self {
            jwks: serde_json::to_string(&keys.jwks()?)?,
            feed_keys: serde_json::to_string(&keys.feed_jwks()?)?,
            empty: keys.feed_answer(0, &[])?,
            snapshot: keys.feed_answer(seq, &records)?,
            gate: Gate::new(),
        })
    }

    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }
}

impl Fetch for Published {
    fn get<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send + 'a>> {
        let body = match request.url.strip_prefix(ISSUER) {
            Some("/.well-known/jwks.json") => &self.jwks,
            Some("/revocations/keys") => &self.feed_keys,
            Some("/revocations") => &self.empty,
            Some(poll) if poll.contains("&after=0&") => {
                self.gate.wait();
                &self.snapshot
            }
            // Nothing new comes.
            _ => return Box::pin(pending()),
        };
        Box::pin(ready(Ok(FetchResponse::new(200, body.as_bytes()))))
    }
}

/// Holds back whoever waits, until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    /// Says when.
    pub fn open(&self) -> Instant {
        let (open, changed) = &*self.0;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        Instant::now()
    }

    fn wait(&self) {
        let (open, changed) = &*self.0;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = changed.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Records of all kinds, of nobody who is asked for.
fn snapshot(first: u64) -> FeedAnswer {
    let salt = Salt::new(SALT).expect("no byte is zero");
    let kinds = [RevokedBy::Session, RevokedBy::Subject, RevokedBy::Client, RevokedBy::Jti, RevokedBy::Kid];
    let records = (0..RECORDS).zip(first..).map(|(number, name)| {
        // Most are sessions, as in life.
        let kind = if number % 20 == 0 { kinds[(number / 20) % kinds.len()] } else { RevokedBy::Session };
        let id = salt.hash(kind, &format!("01980000-0000-7000-8000-{name:012}"));
        RevocationRecord { kind, id, not_before: 1_799_999_000, expires: 1_800_000_720 }
    });
    let seq = first + 200_000;
    FeedAnswer {
        kid: "feed".to_owned(),
        epoch: 1,
        salt,
        seq,
        after: 0,
        issued_at: NOW,
        records: records.collect(),
    }
}

fn claims() -> RevocableClaims<'static> {
    RevocableClaims {
        kid: None,
        client_id: Some("shop-frontend"),
        sub: Some("01980c5e-7a3c-7b4e-9d1f-2a6c8e0b4d12"),
        sid: Some("01980c5e-7a3d-7b4e-9d1f-2a6c8e0b4d12"),
        jti: Some("Zm9vYmFyYmF6cXV4Zm9vYg"),
        iat: NOW - 10,
    }
}

fn signing_input(header: &serde_json::Value, payload: &[u8]) -> String {
    format!("{}.{}", base64url_encode(header.to_string()), base64url_encode(payload))
}

fn components(key: &RsaKeyPair) -> PublicKeyComponents<Vec<u8>> {
    let public = key.public_key();
    PublicKeyComponents {
        n: public.modulus().big_endian_without_leading_zero().to_vec(),
        e: public.exponent().big_endian_without_leading_zero().to_vec(),
    }
}

/// The second number of `statm` (proc(5)), in pages.
fn resident_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(pages * u64::try_from(rustix::param::page_size())?)
}
