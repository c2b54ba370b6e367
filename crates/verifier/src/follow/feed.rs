use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use attesto_token::feed::{FeedAnswer, FeedError, MAX_FEED_BYTES, RevocationList};
use attesto_token::{Algorithm, CompactJws, JwkSet, JwsError, typ};

use super::{Arrival, Request, Source, Wish};
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

/// The revocation feed of an Attesto authority. The numbers in brackets are the rules of its specification.
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

    /// Says whether there was anything new.
    fn take_answer(&mut self, response: &FetchResponse, arrived: Arrival) -> Result<bool, Refused> {
        if response.status != 200 {
            return Err(Refused::Otherwise(format!("the feed answered with status {}", response.status)));
        }
        let answer = self.genuine(&response.body, arrived.unix)?;
        let before = self.list.position();
        self.list.apply(&answer, arrived.unix)?;
        let news = self.list.position() != before;
        self.shared.replace_revocations(&self.list, news, arrived);
        Ok(news)
    }

    /// [1 to 10]
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

    /// [18]
    fn poll_url(&self) -> String {
        let Some(position) = self.list.position().filter(|_| !self.snapshot_wanted) else {
            return self.url.clone();
        };
        let wait = if self.failures == 0 { WAIT } else { 0 };
        format!("{}?epoch={}&after={}&wait={wait}", self.url, position.epoch, position.seq)
    }

    /// [19]
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

    fn receive(&mut self, answer: Result<FetchResponse, FetchError>, arrived: Arrival) -> Result<(), String> {
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
                return Ok(());
            }
            Err(refused) => refused,
        };
        self.failed(arrived);
        match refused {
            // [4]
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
