use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant as Monotonic;

use actix_web::web;
use attesto_core::Instant;
use attesto_token::base64url_encode;
use attesto_token::feed::{FEED_ANSWER_LIFETIME, FeedClaims, RECORD_BYTES};
use tokio::runtime::Handle;

use super::answer::Answer;
use super::once::Once;
use super::records::Records;
use crate::app::App;
use crate::unavailable::Unavailable;

/// A place in a feed; those of a later feed come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which feed.
    pub epoch: Instant,
    /// Its newest record.
    pub seq: i64,
}

impl Position {
    /// Whether somebody who knows `known` has something to learn.
    pub fn is_news_to(self, known: Self) -> bool {
        self.epoch != known.epoch || self.seq > known.seq
    }
}

/// The feed as it was at one instant. Of the answers that it can give few are signed: whoever asks for another gets
/// the one that begins a little earlier, which holds what was asked for and more.
pub struct Published {
    /// Its newest record.
    pub position: Position,
    /// When the store was asked.
    pub at: Instant,
    /// The same, by a clock that never goes back.
    pub read_at: Monotonic,
    /// Those of this state, and perhaps newer ones.
    pub records: Arc<RwLock<Records>>,
    /// Where the answers begin that everybody needs: at the end, for who waited in vain; at the state before this one,
    /// for who waited; a while ago, for who was late; and at the beginning.
    starts: [i64; 4],
    answers: [Once<Result<Arc<Answer>, Arc<Unavailable>>>; 4],
}

impl Published {
    /// A state in which `previous` is the position of the state before, and `recent` that of a while ago.
    pub fn new(
        position: Position,
        (at, read_at): (Instant, Monotonic),
        records: Arc<RwLock<Records>>,
        previous: i64,
        recent: i64,
    ) -> Self {
        Self {
            position,
            at,
            read_at,
            records,
            starts: [position.seq, previous, recent, 0],
            answers: std::array::from_fn(|_| Once::new()),
        }
    }

    /// The answer for who knows everything up to `after`.
    pub async fn answer(
        self: &Arc<Self>,
        after: i64,
        app: &web::Data<App>,
    ) -> Result<Arc<Answer>, Arc<Unavailable>> {
        let (place, start) = self.start(after);
        let (state, app, runtime) = (Arc::clone(self), app.clone(), Handle::current());
        let signed = self.answers[place].get(move || {
            let jws = runtime
                .block_on(app.issuer.sign_feed(&state.claims(start, &app.url), app.policy.access_lifetime));
            let jws = jws.inspect(|_| app.feed.counts.signed());
            jws.map(|jws| Arc::new(Answer::new(jws))).map_err(Arc::new)
        });
        signed.await.map_err(Arc::new)?
    }

    /// Which of the answers, and where it begins: at `after`, or before. None begins later than one that stands before
    /// it, unless both begin at the end.
    fn start(&self, after: i64) -> (usize, i64) {
        let place = self.starts.iter().position(|start| *start <= after).unwrap_or(self.starts.len() - 1);
        (place, self.starts[place])
    }

    fn claims(&self, after: i64, issuer: &str) -> FeedClaims {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let living = records.between(after, self.position.seq, self.at);
        let mut bytes = Vec::with_capacity(living.size_hint().1.unwrap_or(0) * RECORD_BYTES);
        living.for_each(|record| bytes.extend(record.to_bytes()));
        let salt = base64url_encode(records.salt().as_bytes());
        drop(records);
        let iat = self.at.seconds();
        FeedClaims {
            iss: issuer.to_owned(),
            iat,
            exp: iat + FEED_ANSWER_LIFETIME,
            epoch: self.position.epoch.as_millis().unsigned_abs(),
            salt,
            seq: self.position.seq.unsigned_abs(),
            after: after.unsigned_abs(),
            records: base64url_encode(bytes),
        }
    }
}
