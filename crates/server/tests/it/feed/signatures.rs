//! Whatever is asked, few signatures are made.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use attesto_keyring::{Signer, Signing};
use attesto_server::SignerLayer;
use attesto_token::{Jwk, base64url_decode};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{FEED, ask, end_a_session, end_from_outside, take};
use crate::fixture::{Answer, Authority, MILLISECOND, Mode, SECOND, Switch, claims, soon};

/// Notes when an answer is signed.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<Vec<Instant>>>);

impl Tally {
    /// Before `next`.
    fn layer(&self, next: SignerLayer) -> SignerLayer {
        let tally = self.clone();
        Arc::new(move |key| Arc::new(Tallied { key: next(key), tally: tally.clone() }))
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The most within any second.
    fn most_in_a_second(&self) -> usize {
        let times = self.0.lock().unwrap();
        let from = |first: &Instant| times.iter().filter(|at| *at >= first && **at < *first + SECOND).count();
        times.iter().map(from).max().unwrap_or(0)
    }
}

struct Tallied {
    key: Arc<dyn Signer>,
    tally: Tally,
}

impl Signer for Tallied {
    fn public_jwk(&self) -> &Jwk {
        self.key.public_jwk()
    }

    fn sign<'a>(&'a self, signing_input: &'a [u8]) -> Signing<'a> {
        let header = signing_input.split(|byte| *byte == b'.').next().unwrap();
        let header = base64url_decode(std::str::from_utf8(header).unwrap()).unwrap();
        if header.windows(15).any(|part| part == b"revocations+jwt") {
            self.tally.0.lock().unwrap().push(Instant::now());
        }
        self.key.sign(signing_input)
    }
}

/// Numbers without a pattern, the same ones each time (xorshift64).
struct Numbers(Cell<u64>);

impl Numbers {
    fn below(&self, limit: usize) -> usize {
        usize::try_from(self.number(limit as u64)).unwrap()
    }

    fn number(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % limit
    }
}

#[actix_web::test]
async fn at_most_twenty_signatures_a_second_are_made_whatever_is_asked() {
    let (tally, switch) = (Tally::default(), Switch::new(Mode::Healthy));
    let authority = Authority::with_signers("", tally.layer(switch.layer())).await;
    let _following = authority.follow_feed();
    authority.clock.run();
    let (numbers, is_over) = (Numbers(Cell::new(7)), Cell::new(false));
    let answers = RefCell::new(Vec::<(u64, Answer)>::new());
    let epoch = take(&authority, &ask(&authority, "").await).await.epoch;
    let client = async || {
        while !is_over.get() {
            let after = numbers.number(200);
            let query = match numbers.below(4) {
                0 => String::new(),
                1 => format!("?after={after}"),
                2 => format!("?after={after}&wait=25&epoch={epoch}"),
                _ => format!("?after={after}&wait=1&epoch={}", epoch + numbers.number(2)),
            };
            // Some hang up while their answer is being made, or while they wait.
            let patience = [MILLISECOND / 10, 5 * MILLISECOND, 2 * SECOND][numbers.below(3)];
            if let Ok(answer) = timeout(patience, ask(&authority, &query)).await {
                answers.borrow_mut().push((after, answer));
            }
            sleep(Duration::from_millis(numbers.number(20))).await;
        }
    };
    let writer = async {
        let begun = Instant::now();
        while begun.elapsed() < 5 * SECOND {
            end_from_outside(&authority).await;
            sleep(20 * MILLISECOND).await;
        }
        is_over.set(true);
    };
    tokio::join!(writer, join_all((0..200).map(|_| client())));

    let (answers, most) = (answers.into_inner(), tally.most_in_a_second());
    assert!(answers.len() > 2000, "{}", answers.len());
    assert!((8..=20).contains(&most), "{most} signatures in a second");
    let mut bodies = HashMap::new();
    let mut different = HashSet::new();
    for (_, answer) in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
        if different.insert(&answer.body) {
            let claims = claims(&answer.body);
            let says = ["epoch", "after", "seq", "iat"].map(|name| claims[name].as_u64().unwrap());
            let before = bodies.insert(says, &answer.body);
            assert_eq!(before, None, "what says the same is the same bytes");
        }
    }
    assert!(bodies.len() <= tally.count());
}

/// HEAD has to know the length, so it takes the answer of everybody else.
#[actix_web::test]
async fn head_costs_no_signature_of_its_own() {
    let (tally, switch) = (Tally::default(), Switch::new(Mode::Healthy));
    let authority = Authority::with_signers("", tally.layer(switch.layer())).await;
    for query in ["", "?after=0", "?after=99", "?epoch=1&after=0"] {
        for method in [Method::HEAD, Method::GET, Method::HEAD] {
            let request = TestRequest::default().method(method).uri(&format!("{FEED}{query}"));
            assert_eq!(authority.send(request).await.status, 200, "{query}");
        }
    }
    assert_eq!(tally.count(), 1, "of one state, which has no record");
}

#[actix_web::test]
async fn idle_polls_share_one_signature_a_second() {
    let (tally, switch) = (Tally::default(), Switch::new(Mode::Healthy));
    let authority = Authority::with_signers("", tally.layer(switch.layer())).await;
    let _following = authority.follow_feed();
    authority.clock.run();
    let begun = Instant::now();
    let polls = join_all((0..300).map(async |number: u32| {
        sleep(number * 10 * MILLISECOND).await;
        ask(&authority, "?after=0&wait=1").await
    }));
    let answers = polls.await;
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(tally.count() <= seconds, "{} in {seconds} seconds", tally.count());
}

#[actix_web::test]
async fn a_signer_that_is_down_is_asked_now_and_then_and_ends_no_session() {
    let (tally, switch) = (Tally::default(), Switch::new(Mode::Healthy));
    let authority = Authority::with_signers("", tally.layer(switch.layer())).await;
    let _following = authority.follow_feed();
    authority.clock.run();
    end_a_session(&authority).await;
    let refresh = authority.sign_in().await.refresh;
    let sessions = authority.living().await;
    for mode in [Mode::Failing, Mode::Hanging] {
        switch.set(mode);
        // What was signed before is good for its second.
        soon(async || (ask(&authority, "").await.status == 503).then_some(())).await;
        let (before, begun) = (tally.count(), Instant::now());
        while begun.elapsed() < 2 * SECOND {
            for answer in
                join_all((0..100).map(|number| ask(&authority, &format!("?after={}", number % 3)))).await
            {
                assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{mode:?}");
                assert_eq!(answer.header("cache-control"), "no-store");
                assert_eq!(answer.json()["error"], "temporarily_unavailable");
            }
            sleep(Duration::from_millis(20)).await;
        }
        let attempts = tally.count() - before;
        assert!((1..=20).contains(&attempts), "{mode:?}: {attempts}");
        assert_eq!(authority.living().await, sessions);

        switch.set(Mode::Healthy);
        let answer =
            soon(async || Some(ask(&authority, "").await).filter(|answer| answer.status == 200)).await;
        take(&authority, &answer).await;
    }
    authority.refresh(&refresh).await.pair();
}
