use std::sync::{Arc, Mutex, PoisonError, Weak};

use actix_web::body::{BoxBody, MessageBody as _, SizedStream};
use actix_web::web::Bytes;
use attesto_token::feed::MAX_FEED_BYTES;
use futures_util::stream;

/// What a connection holds of an answer that its client does not read.
const CHUNK: usize = 64 * 1024;

/// What all who read slowly can hold together: four answers as large as any, or many of a usual size.
const MOST: usize = 4 * MAX_FEED_BYTES;

/// The large answers that are being sent. Every second there may be another one, and whoever reads slowly enough could
/// make us keep each of them: if it is too much, those who still read the oldest are hung up on.
#[derive(Default)]
pub struct Lending(Mutex<Vec<Weak<Lent>>>);

/// The bytes of one answer, until they are taken back.
struct Lent {
    bytes: Mutex<Option<Bytes>>,
}

/// The answer was taken back.
#[derive(Debug, thiserror::Error)]
#[error("the answer is read too slowly")]
struct TakenBack;

impl Lending {
    /// All who are sent an answer share its bytes; a connection copies no more of them than it is about to write.
    pub fn body(&self, bytes: Bytes) -> BoxBody {
        if bytes.len() <= CHUNK {
            return bytes.boxed();
        }
        let length = bytes.len();
        let lent = self.lend(bytes);
        let chunks = (0..length).step_by(CHUNK).map(move |from| lent.slice(from, length.min(from + CHUNK)));
        SizedStream::new(length as u64, stream::iter(chunks)).boxed()
    }

    fn lend(&self, bytes: Bytes) -> Arc<Lent> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lent: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        let known = lent.iter().position(|other| other.is(&bytes));
        let wanted = known.map_or_else(|| Arc::new(Lent::new(bytes)), |place| Arc::clone(&lent[place]));
        if known.is_none() {
            lent.push(Arc::clone(&wanted));
        }
        let mut total: usize = lent.iter().map(|lent| lent.length()).sum();
        for oldest in &lent {
            if total <= MOST {
                break;
            }
            total -= oldest.take_back();
        }
        *all = lent.iter().filter(|lent| lent.length() > 0).map(Arc::downgrade).collect();
        wanted
    }
}

impl Lent {
    fn new(bytes: Bytes) -> Self {
        Self { bytes: Mutex::new(Some(bytes)) }
    }

    fn slice(&self, from: usize, until: usize) -> Result<Bytes, TakenBack> {
        self.lock().as_ref().map(|bytes| bytes.slice(from..until)).ok_or(TakenBack)
    }

    fn is(&self, other: &Bytes) -> bool {
        self.lock().as_ref().is_some_and(|bytes| bytes.as_ptr() == other.as_ptr())
    }

    fn length(&self) -> usize {
        self.lock().as_ref().map_or(0, Bytes::len)
    }

    /// Says how much it was.
    fn take_back(&self) -> usize {
        self.lock().take().map_or(0, |bytes| bytes.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Bytes>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{BodySize, to_bytes};
    use futures_util::FutureExt as _;

    use super::*;

    const LARGE: usize = MAX_FEED_BYTES / 2;

    fn large(byte: u8) -> Bytes {
        vec![byte; LARGE].into()
    }

    fn read(body: BoxBody) -> Option<Bytes> {
        to_bytes(body).now_or_never().unwrap().ok()
    }

    fn held(lending: &Lending) -> usize {
        lending.0.lock().unwrap().iter().filter_map(Weak::upgrade).map(|lent| lent.length()).sum()
    }

    #[test]
    fn what_is_lent_arrives_and_is_given_back() {
        let lending = Lending::default();
        for length in [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1] {
            let bytes: Bytes = (0..=250).cycle().take(length).collect::<Vec<u8>>().into();
            let body = lending.body(bytes.clone());
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            assert_eq!(read(body), Some(bytes));
            assert_eq!(held(&lending), 0, "{length}");
        }
    }

    #[test]
    fn one_answer_is_held_once_however_many_read_it() {
        let (lending, bytes) = (Lending::default(), large(1));
        let bodies: Vec<_> = (0..100).map(|_| lending.body(bytes.clone())).collect();
        assert_eq!(held(&lending), LARGE);
        assert!(bodies.into_iter().take(3).all(|body| read(body).is_some()));
        assert_eq!(held(&lending), 0);
    }

    #[test]
    fn whoever_reads_the_oldest_is_hung_up_on_when_it_is_too_much() {
        let lending = Lending::default();
        let mut bodies: Vec<_> = (0..10).map(|byte| lending.body(large(byte))).collect();
        assert_eq!(held(&lending), MOST);
        let newest = bodies.split_off(2);
        assert!(bodies.into_iter().all(|body| read(body).is_none()), "the two oldest");
        for (byte, body) in (2..).zip(newest) {
            assert_eq!(read(body), Some(large(byte)));
        }
        assert_eq!(held(&lending), 0);
    }
}
