use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use attesto_token::feed::{FeedAnswer, FeedError, MAX_FEED_BYTES, RevocationList};
use attesto_token::{Algorithm, CompactJws, JwkSet, JwsError, typ};

use super::{Arrival, Progress, Request, Source, Wish};
use crate::fetch::{FetchError, FetchResponse};
use crate::keys::KeySet;
use crate::revocations::AccessToken;
use crate::trust::Shared;

/// The longest that the server is asked to wait, in seconds.
const WAIT: u64 = 25;
const TIMEOUT: Duration = Duration::from_secs(35);
const KEYS_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_KEYS_BYTES: usize = 256 * 1024;
/// Between two fetches of the feed's keys because of an unknown one.
const KEYS_GAP: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Answers that bring nothing new are not asked for more often.
const PAUSE: Duration = Duration::from_secs(1);

/// The revocation feed of an Attesto authority. Rules are those of its specification.
pub(crate) struct FeedSource {
    shared: Arc<Shared>,
    url: String,
    access_token: Option<AccessToken>,
    keys_refresh: Duration,
    keys: Option<KeySet>,
    keys_due: Duration,
    /// From when on an unknown key may cause a fetch of the keys.
    unknown_key_from: Duration,
    list: RevocationList,
    /// A gap was found: what is known is no place to go on from.
    snapshot_wanted: bool,
    due: Duration,
    failures: u32,
    asked: Asked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Keys,
    Feed,
}

/// Why an answer is not taken.
enum Refused {
    UnknownKey,
    Gap,
    Otherwise(String),
}

impl FeedSource {
    /// `known` are the keys and the records of a feed that was followed before.
    pub(crate) fn new(
        shared: Arc<Shared>,
        url: String,
        access_token: Option<AccessToken>,
        keys_refresh: Duration,
        known: (Option<KeySet>, RevocationList),
        now: Duration,
    ) -> Self {
        let (keys, list) = known;
        Self {
            shared,
            url,
            access_token,
            keys_refresh,
            keys,
            keys_due: now,
            unknown_key_from: now,
            list,
            snapshot_wanted: false,
            due: now,
            failures: 0,
            asked: Asked::Keys,
        }
    }

    fn take_keys(&mut self, response: &FetchResponse, arrived: Arrival) -> Result<(), String> {
        if response.status != 200 {
            return Err(format!("the keys of the feed were answered with status {}", response.status));
        }
        let jwks = JwkSet::parse(&response.body).map_err(|error| error.to_string())?;
        let set = KeySet::new(&jwks).map_err(|error| error.to_string())?;
        self.keys = Some(set);
        self.keys_due = arrived.at + self.keys_refresh;
        self.shared.keep_feed_keys(&response.body);
        Ok(())
    }

    /// Says whether it brought the feed any further.
    fn take_answer(&mut self, response: &FetchResponse, arrived: Arrival) -> Result<bool, Refused> {
        if response.status != 200 {
            return Err(Refused::Otherwise(format!("the feed answered with status {}", response.status)));
        }
        let answer = self.genuine(&response.body, arrived.unix)?;
        let before = self.list.position();
        self.list.apply(&answer, arrived.unix)?;
        let moved = self.list.position() != before;
        // A snapshot may bring what was missed on the way to the same position.
        self.shared.replace_revocations(&self.list, moved || !answer.records.is_empty(), arrived);
        Ok(moved)
    }

    /// Rules 1 to 10.
    fn genuine(&self, body: &[u8], now: i64) -> Result<FeedAnswer, Refused> {
        let text = str::from_utf8(body).map_err(|_| JwsError::Malformed)?;
        let jws = CompactJws::split_within(text, MAX_FEED_BYTES)?;
        let header = jws.header()?;
        if header.typ.as_deref() != Some(typ::REVOCATIONS) {
            return Err(Refused::Otherwise("the answer is of another type".to_owned()));
        }
        let kid = header.kid.ok_or(JwsError::Malformed)?;
        let keys = self.keys.as_ref().ok_or(Refused::UnknownKey)?;
        let key = keys.get(&kid).ok_or(Refused::UnknownKey)?;
        let alg = header.alg.parse().ok().filter(|alg| matches!(alg, Algorithm::Es256 | Algorithm::Rs256));
        let alg = alg.ok_or_else(|| Refused::Otherwise("the algorithm is not the feed's".to_owned()))?;
        let payload =
            key.verified_payload(&jws, alg).map_err(|error| Refused::Otherwise(error.to_string()))?;
        Ok(FeedAnswer::read(&payload, &kid, self.shared.issuer(), now)?)
    }

    /// Rule 18.
    fn poll_url(&self) -> String {
        let Some(position) = self.list.position().filter(|_| !self.snapshot_wanted) else {
            return self.url.clone();
        };
        let wait = if self.failures == 0 { WAIT } else { 0 };
        format!("{}?epoch={}&after={}&wait={wait}", self.url, position.epoch, position.seq)
    }

    /// Rule 19.
    fn failed(&mut self, arrived: Arrival) {
        let retry = FIRST_RETRY.saturating_mul(2u32.saturating_pow(self.failures)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.due = arrived.at + retry.mul_f64(1.0 - arrived.lot / 2.0);
    }
}

impl Source for FeedSource {
    fn due(&self) -> Duration {
        self.due
    }

    fn wishes_from(&self) -> Duration {
        self.due
    }

    fn wish(&mut self, wish: Wish, now: Duration) {
        if wish == Wish::Now {
            self.due = self.due.min(now);
        }
    }

    fn request(&mut self, now: Duration) -> Request {
        self.asked = if self.keys.is_none() || self.keys_due <= now { Asked::Keys } else { Asked::Feed };
        match self.asked {
            Asked::Keys => Request {
                url: format!("{}/keys", self.url),
                etag: None,
                access_token: None,
                max_bytes: MAX_KEYS_BYTES,
                timeout: KEYS_TIMEOUT,
            },
            Asked::Feed => Request {
                url: self.poll_url(),
                etag: None,
                access_token: self.access_token.as_ref().and_then(AccessToken::now),
                max_bytes: MAX_FEED_BYTES,
                timeout: TIMEOUT,
            },
        }
    }

    fn receive(
        &mut self,
        answer: Result<FetchResponse, FetchError>,
        arrived: Arrival,
    ) -> Result<Progress, String> {
        let taken = answer.map_err(|error| Refused::Otherwise(error.to_string())).and_then(|response| {
            self.shared.measure_skew(&response, arrived);
            match self.asked {
                Asked::Keys => self.take_keys(&response, arrived).map_err(Refused::Otherwise).map(|()| true),
                Asked::Feed => self.take_answer(&response, arrived),
            }
        });
        let refused = match taken {
            Ok(news) => {
                if self.asked == Asked::Feed {
                    self.failures = 0;
                    self.snapshot_wanted = false;
                }
                let pause = if news { Duration::ZERO } else { PAUSE };
                self.due = arrived.at.max(arrived.asked_at + pause);
                return Ok(if self.asked == Asked::Keys { Progress::Further } else { Progress::Done });
            }
            Err(refused) => refused,
        };
        self.failed(arrived);
        match refused {
            // Rule 4.
            Refused::UnknownKey if self.unknown_key_from <= arrived.at => {
                self.unknown_key_from = arrived.at + KEYS_GAP;
                self.keys_due = arrived.at;
                self.due = arrived.at;
            }
            Refused::Gap => self.snapshot_wanted = true,
            Refused::UnknownKey | Refused::Otherwise(_) => {}
        }
        if self.asked == Asked::Keys {
            // Those that are held serve on, and the feed is not kept waiting for others.
            self.keys_due = arrived.at + LAST_RETRY;
        }
        let reason = refused.to_string();
        self.shared.revocations_failed(&reason, arrived);
        Err(reason)
    }
}

impl From<JwsError> for Refused {
    fn from(error: JwsError) -> Self {
        Self::Otherwise(error.to_string())
    }
}

impl From<FeedError> for Refused {
    fn from(error: FeedError) -> Self {
        if error == FeedError::Gap { Self::Gap } else { Self::Otherwise(error.to_string()) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("the key that signed the answer is not one of the feed's"),
            Self::Gap => FeedError::Gap.fmt(f),
            Self::Otherwise(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use attesto_token::feed::{RevocableClaims, RevokedBy};
    use serde_json::Value;

    use super::*;
    use crate::event::Events;
    use crate::trust::Trust;

    const DAY: Duration = Duration::from_secs(86_400);
    const LOT: f64 = 0.5;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The vectors of the specification.
    fn specified() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/feed/vectors.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// A source, and a server that publishes the keys of the vectors.
    struct Followed {
        source: FeedSource,
        keys: String,
        now: Duration,
    }

    impl Followed {
        fn new(vectors: &Value) -> Self {
            let (issuer, clock) = (vectors["issuer"].as_str().unwrap().to_owned(), Arc::new(|| 0));
            let shared = Arc::new(Shared::new(issuer, Trust::default(), clock, Events::default()));
            let known = (None, RevocationList::default());
            let source = FeedSource::new(shared, "https://f".to_owned(), None, DAY, known, Duration::ZERO);
            Self { source, keys: vectors["keys"].to_string(), now: Duration::ZERO }
        }

        /// What it asks for next, at the earliest instant that is allowed.
        fn asks(&mut self) -> String {
            self.now = self.now.max(self.source.due());
            self.source.request(self.now).url
        }

        fn gets(&mut self, status: u16, body: &str, unix: i64) -> Result<(), String> {
            let arrived = Arrival { asked_at: self.now, at: self.now, unix, lot: LOT };
            self.source.receive(Ok(FetchResponse::new(status, body)), arrived).map(drop)
        }

        /// Asks for the feed, and for its keys before that if it wants to.
        fn step(&mut self, step: &Value) -> Result<(), String> {
            let unix = step["now"].as_i64().unwrap();
            while self.asks().ends_with("/keys") {
                let keys = self.keys.clone();
                self.gets(200, &keys, unix).unwrap();
            }
            self.gets(200, step["answer"].as_str().unwrap(), unix)
        }

        fn list(&self) -> RevocationList {
            self.source.shared.trust.load().revocations.clone()
        }
    }

    fn vector<'a>(vectors: &'a Value, name: &str) -> &'a Vec<Value> {
        let mut all = vectors["vectors"].as_array().unwrap().iter();
        all.find(|vector| vector["name"] == name).unwrap()["steps"].as_array().unwrap()
    }

    /// What is said of an answer that is refused for this reason; of several that it has, any may be said.
    fn said(reason: &str) -> &'static str {
        match reason {
            "type" => "of another type",
            "unknown_key" => "not one of the feed's",
            "issuer" => "of another issuer",
            "future" => "in the future",
            "expired" => "expired",
            "key_revoked" => "was revoked",
            "older_epoch" => "older epoch",
            "salt_changed" => "salt changed",
            "rolled_back" => "older than what is known",
            "gap" => "ask for a snapshot",
            "signature" => "signature",
            "algorithm" => "algorithm",
            "malformed" => "",
            other => panic!("{other} is new"),
        }
    }

    #[test]
    fn every_vector_of_the_specification() {
        let vectors = specified();
        let mut steps = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let mut followed = Followed::new(&vectors);
            for step in vector["steps"].as_array().unwrap() {
                let name = &vector["name"];
                let before = followed.list();
                match (step["verdict"].as_str().unwrap(), followed.step(step)) {
                    ("accepted", outcome) => assert_eq!(outcome, Ok(()), "{name}"),
                    (verdict, outcome) => {
                        let refused = outcome.unwrap_err();
                        let reason = verdict.strip_prefix("refused:").unwrap();
                        assert!(refused.contains(said(reason)), "{name}: {refused}");
                        assert_eq!(followed.list(), before, "{name}");
                    }
                }
                check(&followed.list(), step, name);
                steps += 1;
            }
        }
        assert!(steps >= 220, "{steps}");
    }

    fn check(list: &RevocationList, step: &Value, name: &Value) {
        for check in step["checks"].as_array().into_iter().flatten() {
            let (mut list, claims) = (list.clone(), &check["claims"]);
            list.drop_expired(check["now"].as_i64().unwrap());
            // A fraction, or a text, comes to no list of this crate: such a token is refused before.
            let Some(iat) = claims.get("iat").map_or(Some(0), Value::as_i64) else { continue };
            let revoked = list.revoked_by(&RevocableClaims {
                kid: check["kid"].as_str(),
                client_id: claims["client_id"].as_str(),
                sub: claims["sub"].as_str(),
                sid: claims["sid"].as_str(),
                jti: claims["jti"].as_str(),
                iat,
            });
            assert_eq!(revoked.map(RevokedBy::as_str), check["revoked"].as_str(), "{name}: {check}");
        }
    }

    /// Rule 18. and [19]
    #[test]
    fn failures_are_asked_again_without_waiting_for_news() {
        let vectors = specified();
        let mut followed = Followed::new(&vectors);
        let first = &vector(&vectors, "a record of the kind subject")[0];
        followed.step(first).unwrap();
        assert_eq!(followed.asks(), "https://f?epoch=1799000000000&after=1&wait=25");
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            let failed_at = followed.now;
            followed.gets(503, "", 0).unwrap_err();
            assert_eq!(followed.asks(), "https://f?epoch=1799000000000&after=1&wait=0");
            assert_eq!(followed.now.saturating_sub(failed_at), secs(pause).mul_f64(1.0 - LOT / 2.0));
        }
        followed.step(first).unwrap();
        assert_eq!(followed.asks(), "https://f?epoch=1799000000000&after=1&wait=25");
    }

    /// [20]
    #[test]
    fn what_brings_nothing_is_asked_for_once_a_second() {
        let vectors = specified();
        let mut followed = Followed::new(&vectors);
        let same = &vector(&vectors, "a record of the kind subject")[0];
        followed.step(same).unwrap();
        followed.asks();
        assert_eq!(followed.now, Duration::ZERO, "a snapshot brings everything");
        for second in 1..10 {
            followed.step(same).unwrap();
            followed.asks();
            assert_eq!(followed.now, secs(second));
        }
    }

    /// Rule 4.
    #[test]
    fn unknown_keys_cause_few_fetches() {
        let vectors = specified();
        let mut followed = Followed::new(&vectors);
        let forged = &vector(&vectors, "a key of the access tokens")[0];
        let (mut keys, mut polls) = (0, 0);
        while followed.now < secs(600) {
            let unix = forged["now"].as_i64().unwrap();
            if followed.asks().ends_with("/keys") {
                keys += 1;
                let body = followed.keys.clone();
                followed.gets(200, &body, unix).unwrap();
            } else {
                polls += 1;
                followed.gets(200, forged["answer"].as_str().unwrap(), unix).unwrap_err();
            }
        }
        assert!((10..=61).contains(&keys), "{keys}");
        assert!(polls <= 100, "{polls}");
    }

    /// The keys of the feed cannot be fetched: those that are held serve on.
    #[test]
    fn keys_that_do_not_come_do_not_delay_the_feed() {
        let vectors = specified();
        let mut followed = Followed::new(&vectors);
        let step = &vector(&vectors, "a record of the kind subject")[0];
        assert_eq!(followed.asks(), "https://f/keys");
        for body in ["", "{}", r#"{"keys":[]}"#] {
            followed.gets(200, body, 0).unwrap_err();
            assert_eq!(followed.asks(), "https://f/keys", "without any, there is nothing else to ask for");
        }
        followed.step(step).unwrap();
        followed.now = DAY + secs(60);
        assert_eq!(followed.asks(), "https://f/keys");
        followed.gets(500, "", 0).unwrap_err();
        assert_eq!(followed.asks(), "https://f?epoch=1799000000000&after=1&wait=0");
        assert_eq!(followed.step(step), Ok(()));
    }

    /// A verdict is remembered for as long as nothing changes.
    #[test]
    fn only_what_may_revoke_ends_remembered_verdicts() {
        let vectors = specified();
        let mut followed = Followed::new(&vectors);
        let generation = |followed: &Followed| followed.source.shared.trust.load().generation;
        let nothing = vector(&vectors, "nothing new");
        followed.step(&nothing[0]).unwrap();
        let before = generation(&followed);
        followed.step(&nothing[1]).unwrap();
        assert_eq!(generation(&followed), before);
        let twice = vector(&vectors, "the same answer twice");
        let mut followed = Followed::new(&vectors);
        followed.step(&twice[0]).unwrap();
        let before = generation(&followed);
        followed.step(&twice[1]).unwrap();
        assert_ne!(generation(&followed), before, "records at the same position are looked at");
    }
}
