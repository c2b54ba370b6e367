use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, UNIX_EPOCH};

use attesto_token::feed::{
    FEED_ANSWER_LIFETIME, FeedClaims, MAX_FEED_BYTES, RevocationRecord, RevokedBy, Salt,
};
use attesto_token::{JwkSet, base64url_encode, typ};
use serde_json::json;

use super::signing::SigningKey;
use crate::fetch::{FetchError, FetchResponse};
use crate::follow::Discovery;
use crate::verifier::WeakVerifier;

/// The longest that a poll of the feed is kept waiting, in seconds.
const LONGEST_WAIT: u64 = 25;
/// Every record outlives the tokens that a test may make.
const NEVER: u32 = u32::MAX;

/// What is wrong with the issuer, or with the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Connections are refused, and those that are open are cut.
    Down,
    /// Requests are taken and never answered, until their time is over.
    Hang,
    /// Every answer is a page with status 200, as from a network that wants a sign-in first.
    Page,
    /// Every answer is a 500.
    ServerError,
    /// Every answer ends in the middle.
    Cut,
    /// Every answer is a JWK Set without keys.
    Empty,
    /// Every answer is larger than anybody should read.
    Huge,
}

/// What is ended before its time: see [`Issuer::revoke`](super::Issuer::revoke).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End<'a> {
    /// Every token that was issued until now.
    Everybody,
    /// Every token that the key with this `kid` signed: it leaked.
    Key(&'a str),
    /// Every token that this client (`client_id`) has obtained until now.
    Client(&'a str),
    /// Every token of this user (`sub`) that was issued until now.
    User(&'a str),
    /// The session with this `sid`.
    Session(&'a str),
    /// The token with this `jti`.
    Token(&'a str),
}

/// Everything that the issuer is at the moment.
pub(super) struct World {
    issuer: String,
    /// The one that signs.
    pub(super) active: Arc<SigningKey>,
    published: Vec<Arc<SigningKey>>,
    /// Held, so that no later key of this issuer is one of them again.
    withdrawn: Vec<Arc<SigningKey>>,
    feed_key: SigningKey,
    epoch: u64,
    salt: Salt,
    records: Vec<RevocationRecord>,
    pub(super) fault: Option<Fault>,
    audiences: Vec<String>,
    minted: u64,
    /// The addresses of all requests so far.
    pub(super) requests: Vec<String>,
    /// Goes up with whatever a request may wait for.
    pub(super) changes: u64,
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) members: Vec<Member>,
    numbers: u64,
}

/// A verifier that follows this issuer.
#[derive(Clone)]
pub(super) struct Member {
    /// Which door its requests come through.
    pub(super) door: u64,
    pub(super) verifier: WeakVerifier,
    /// Whether it works in threads, rather than in tasks.
    pub(super) threads: bool,
}

/// A request without an answer yet.
pub(super) struct Held {
    pub(super) door: u64,
    /// As of which change there is none.
    pub(super) changes: u64,
    /// When there will be one in any case.
    pub(super) until: Duration,
    pub(super) waker: Waker,
}

/// A request.
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) timeout: Duration,
    pub(super) max_bytes: usize,
    /// By the clock of the verifiers.
    pub(super) at: Duration,
    pub(super) began: Instant,
}

/// What a request gets.
pub(super) enum Reply {
    Now(Result<FetchResponse, FetchError>),
    /// Nothing before that time, unless something changes.
    NotBefore(Duration),
}

/// The parameters of a request for the feed.
#[derive(Default)]
struct Poll {
    epoch: Option<u64>,
    after: Option<u64>,
    wait: u64,
}

impl World {
    pub(super) fn new(issuer: String, now: i64) -> Self {
        let key = SigningKey::for_tokens();
        Self {
            issuer,
            active: Arc::clone(&key),
            published: vec![key],
            withdrawn: Vec::new(),
            feed_key: SigningKey::es256(),
            epoch: now.unsigned_abs() * 1_000,
            salt: Salt::new(*b"salt of 16 bytes").expect("no byte of it is zero"),
            records: Vec::new(),
            fault: None,
            audiences: Vec::new(),
            minted: 0,
            requests: Vec::new(),
            changes: 0,
            held: BTreeMap::new(),
            members: Vec::new(),
            numbers: 0,
        }
    }

    /// A number that nothing else has.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn add_audience(&mut self, audience: &str) {
        if !self.audiences.iter().any(|known| known == audience) {
            self.audiences.push(audience.to_owned());
        }
    }

    /// The key, the audiences and the `jti` of the next token.
    pub(super) fn next_token(&mut self) -> (Arc<SigningKey>, Vec<String>, String) {
        self.minted += 1;
        (Arc::clone(&self.active), self.audiences.clone(), format!("{:032x}", self.minted))
    }

    pub(super) fn rotate(&mut self) {
        self.active = SigningKey::for_tokens();
        self.published.push(Arc::clone(&self.active));
    }

    pub(super) fn withdraw(&mut self, kid: &str) {
        self.withdrawn.extend(self.published.extract_if(.., |key| key.kid() == kid));
    }

    pub(super) fn jwks(&self) -> JwkSet {
        JwkSet::new(self.published.iter().map(|key| key.jwk.clone()).collect())
    }

    pub(super) fn revoke(&mut self, end: End<'_>, now: i64) {
        let (kind, id) = match end {
            End::Everybody => (RevokedBy::All, ""),
            End::Key(kid) => (RevokedBy::Kid, kid),
            End::Client(client_id) => (RevokedBy::Client, client_id),
            End::User(sub) => (RevokedBy::Subject, sub),
            End::Session(sid) => (RevokedBy::Session, sid),
            End::Token(jti) => (RevokedBy::Jti, jti),
        };
        let id = self.salt.hash(kind, id);
        let not_before = u32::try_from(now).unwrap_or(NEVER);
        self.records.push(RevocationRecord { kind, id, not_before, expires: NEVER });
    }

    pub(super) fn reply(&self, asked: &Asked, now: Duration, unix: i64) -> Reply {
        match self.fault {
            None => self.serve(asked, now, unix),
            Some(Fault::Down) => Reply::Now(Err(FetchError::new("the connection was refused"))),
            Some(Fault::Hang) => {
                let until = asked.at + asked.timeout;
                if now < until {
                    Reply::NotBefore(until)
                } else {
                    Reply::Now(Err(FetchError::timeout(asked.timeout)))
                }
            }
            Some(fault) => Reply::Now(Ok(dated(self.spoiled(fault, asked, unix), unix))),
        }
    }

    fn spoiled(&self, fault: Fault, asked: &Asked, unix: i64) -> FetchResponse {
        match fault {
            Fault::Down | Fault::Hang | Fault::ServerError => FetchResponse::new(500, "<html>Sorry</html>"),
            Fault::Page => FetchResponse::new(200, "<html>Sign in to the network</html>"),
            Fault::Cut => {
                // All of it, as to somebody who knows nothing yet: there has to be a middle.
                let mut response = self.answer(&asked.url, None, unix);
                response.body.truncate(response.body.len() / 2);
                response
            }
            Fault::Empty => FetchResponse::new(200, r#"{"keys":[]}"#),
            Fault::Huge => FetchResponse::new(200, vec![b' '; asked.max_bytes + 1]),
        }
    }

    fn serve(&self, asked: &Asked, now: Duration, unix: i64) -> Reply {
        let until = asked.at + self.patience(asked);
        // Who waits by the clock of the machine, as the drivers do, is answered before it gives up.
        if now < until && asked.began.elapsed() < Duration::from_secs(LONGEST_WAIT) {
            return Reply::NotBefore(until);
        }
        Reply::Now(Ok(dated(self.answer(&asked.url, asked.etag.as_deref(), unix), unix)))
    }

    /// How long there is no answer: only a poll of the feed waits, and only as long as there is no news.
    fn patience(&self, asked: &Asked) -> Duration {
        let Some(Poll { epoch, after, wait }) = self.poll(&asked.url) else { return Duration::ZERO };
        let news = epoch != Some(self.epoch) || after != Some(self.seq());
        Duration::from_secs(if news { 0 } else { wait.min(LONGEST_WAIT) })
    }

    fn answer(&self, url: &str, etag: Option<&str>, unix: i64) -> FetchResponse {
        if let Some(poll) = self.poll(url) {
            return FetchResponse::new(200, self.feed(&poll, unix));
        }
        let metadata = Discovery::new(&self.issuer, true).url;
        if url == metadata {
            let jwks_uri = self.below("/.well-known/jwks.json");
            return FetchResponse::new(200, json!({"issuer": self.issuer, "jwks_uri": jwks_uri}).to_string());
        }
        if url == self.below("/.well-known/jwks.json") {
            return key_set(&self.jwks(), etag);
        }
        if url == self.below("/revocations/keys") {
            return key_set(&JwkSet::new(vec![self.feed_key.jwk.clone()]), etag);
        }
        FetchResponse::new(404, "")
    }

    fn below(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }

    /// `None` for a request that is not for the feed.
    fn poll(&self, url: &str) -> Option<Poll> {
        let rest = url.strip_prefix(&self.below("/revocations"))?;
        if rest.is_empty() {
            return Some(Poll::default());
        }
        let mut poll = Poll::default();
        for (name, value) in rest.strip_prefix('?')?.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "epoch" => poll.epoch = value.parse().ok(),
                "after" => poll.after = value.parse().ok(),
                "wait" => poll.wait = value.parse().ok()?,
                _ => {}
            }
        }
        Some(poll)
    }

    fn seq(&self) -> u64 {
        self.records.len() as u64
    }

    /// An answer of the feed, as its specification has it; a snapshot for those who are not of this epoch.
    fn feed(&self, poll: &Poll, unix: i64) -> String {
        let known = poll.after.filter(|after| poll.epoch == Some(self.epoch) && *after <= self.seq());
        let after = known.unwrap_or_default();
        let news = &self.records[usize::try_from(after).unwrap_or_default()..];
        let claims = FeedClaims {
            iss: self.issuer.clone(),
            iat: unix,
            exp: unix + FEED_ANSWER_LIFETIME,
            epoch: self.epoch,
            salt: base64url_encode(self.salt.as_bytes()),
            seq: self.seq(),
            after,
            records: base64url_encode(news.iter().flat_map(RevocationRecord::to_bytes).collect::<Vec<_>>()),
        };
        let payload = serde_json::to_vec(&claims).expect("numbers and text");
        let answer = self.feed_key.sign(self.feed_key.header(typ::REVOCATIONS), &payload);
        debug_assert!(answer.len() <= MAX_FEED_BYTES, "a test revokes no million");
        answer
    }
}

fn key_set(jwks: &JwkSet, known: Option<&str>) -> FetchResponse {
    let kids: Vec<_> = jwks.keys.iter().map(|key| key.kid.as_str()).collect();
    let etag = format!("\"{}\"", kids.join("."));
    let mut response = if known == Some(&etag) {
        FetchResponse::new(304, "")
    } else {
        FetchResponse::new(200, serde_json::to_vec(jwks).expect("numbers and text"))
    };
    response.etag = Some(etag);
    response
}

fn dated(mut response: FetchResponse, unix: i64) -> FetchResponse {
    let now = UNIX_EPOCH + Duration::from_secs(unix.unsigned_abs());
    response.date = Some(httpdate::fmt_http_date(now));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drivers measure their patience by the clock of the machine, and look once more before they lose it.
    #[test]
    fn a_poll_ends_by_the_clock_of_the_machine_as_well() {
        let world = World::new("https://auth.example".to_owned(), 1_800_000_000);
        let url = format!("https://auth.example/revocations?epoch={}&after=0&wait=25", world.epoch);
        let reply = |ago| {
            let began =
                Instant::now().checked_sub(Duration::from_secs(ago)).expect("the machine is up for a minute");
            let (timeout, at) = (Duration::from_secs(35), Duration::ZERO);
            let asked = Asked { url: url.clone(), etag: None, timeout, max_bytes: MAX_FEED_BYTES, at, began };
            world.reply(&asked, Duration::from_secs(1), 1_800_000_001)
        };
        assert!(matches!(reply(0), Reply::NotBefore(until) if until == Duration::from_secs(25)));
        assert!(matches!(reply(25), Reply::Now(Ok(_))));
    }
}
