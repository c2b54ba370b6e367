//! Whatever keeps the private keys may fail, hang and be slow. No session pays for it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::fixture::{ADA, Authority, BUSY, EMPTY, MILLISECOND, Mode, PASSWORD, Switch};

#[actix_web::test]
async fn a_signer_that_is_down_costs_no_session() {
    for settings in ["", "simplejwt_rotates = false\n"] {
        let switch = Switch::new(Mode::Healthy);
        let authority = Authority::with_signers(settings, switch.layer()).await;
        let pair = authority.sign_in().await;
        let (sessions, audited) = (authority.living().await, authority.audited().await);
        for mode in [Mode::Failing, Mode::Hanging] {
            switch.set(mode);
            for _ in 0..3 {
                authority.refresh(&pair.refresh).await.is(503, BUSY);
            }
            authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
            // Needs no signature.
            authority.verify(&pair.access).await.is(200, EMPTY);
            assert_eq!(authority.living().await, sessions, "{mode:?}");
            assert_eq!(authority.audited().await, audited, "{mode:?}");
            switch.set(Mode::Healthy);
            assert_eq!(authority.verify(&pair.refresh).await.status, 200);
        }
        assert_eq!(authority.refresh(&pair.refresh).await.status, 200);
        authority.sign_in().await;
    }
}

#[actix_web::test]
async fn an_answer_that_was_lost_is_repeated_once_the_signer_is_back() {
    let switch = Switch::new(Mode::Healthy);
    let authority = Authority::with_signers("", switch.layer()).await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    switch.set(Mode::Failing);
    authority.refresh(&first).await.is(503, BUSY);
    switch.set(Mode::Healthy);
    assert_eq!(authority.refresh(&first).await.pair().refresh, second);
    authority.refresh(&second).await.pair();
}

#[actix_web::test]
async fn the_right_password_is_no_failure_however_often_the_signer_fails() {
    let switch = Switch::new(Mode::Failing);
    let authority = Authority::with_signers("throttle_user_failures = 2\n", switch.layer()).await;
    for _ in 0..5 {
        authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
    }
    switch.set(Mode::Healthy);
    authority.sign_in().await;
}

#[actix_web::test]
async fn a_signer_that_hangs_is_not_waited_for() {
    let switch = Switch::new(Mode::Healthy);
    let authority = Authority::with_signers("", switch.layer()).await;
    let refresh = authority.sign_in().await.refresh;
    switch.set(Mode::Hanging);
    let begun = Instant::now();
    authority.refresh(&refresh).await.is(503, BUSY);
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
    // Nor does it keep anybody's place.
    let begun = Instant::now();
    for answer in join_all((0..200).map(|_| authority.refresh(&refresh))).await {
        answer.is(503, BUSY);
    }
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    switch.set(Mode::Healthy);
    authority.refresh(&refresh).await.pair();
}

#[actix_web::test]
async fn a_slow_signer_is_waited_for() {
    let switch = Switch::new(Mode::Slow(200 * MILLISECOND));
    let authority = Authority::with_signers("", switch.layer()).await;
    let refresh = authority.sign_in().await.refresh;
    let begun = Instant::now();
    authority.refresh(&refresh).await.pair();
    assert!(begun.elapsed() >= 200 * MILLISECOND);
}

#[actix_web::test]
async fn a_signer_is_never_asked_for_more_than_64_signatures_at_once() {
    let switch = Switch::new(Mode::Healthy);
    let authority = Authority::with_signers("", switch.layer()).await;
    let refresh = authority.sign_in().await.refresh;
    switch.set(Mode::Slow(200 * MILLISECOND));
    let answers = join_all((0..200).map(|_| authority.refresh(&refresh))).await;
    assert_eq!(switch.most_at_once(), 64);
    let (good, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    for answer in &others {
        answer.is(503, BUSY);
    }
    assert!(!good.is_empty(), "those whose turn came in time");
    let successor = good[0].pair().refresh;
    assert!(good.iter().all(|answer| answer.pair().refresh == successor));
    switch.set(Mode::Healthy);
    assert_eq!(authority.refresh(&refresh).await.pair().refresh, successor);
    authority.refresh(&successor).await.pair();
}

const TWO_MINUTES: Duration = Duration::from_secs(120);

/// Numbers without a pattern, the same ones each time (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[actix_web::test]
async fn for_two_minutes_a_signer_that_comes_and_goes_ends_no_session() {
    let switch = Switch::new(Mode::Healthy);
    let authority = Authority::with_signers("", switch.layer()).await;
    authority.clock.run();
    let is_over = Cell::new(false);
    let mut first = Vec::new();
    for _ in 0..8 {
        first.push(authority.sign_in().await.refresh);
    }
    let clients = join_all(first.iter().map(async |first| {
        let (mut token, mut renewed, mut turned_away) = (first.clone(), 0, 0);
        while !is_over.get() {
            let answer = authority.refresh(&token).await;
            if answer.status == 200 {
                token = answer.pair().refresh;
                renewed += 1;
            } else {
                answer.is(503, BUSY);
                turned_away += 1;
            }
            sleep(20 * MILLISECOND).await;
        }
        (token, renewed, turned_away)
    }));
    let weather = async {
        let (begun, mut numbers) = (Instant::now(), Numbers(0x5eed_5eed_5eed_5eed));
        while begun.elapsed() < TWO_MINUTES {
            let modes =
                [Mode::Healthy, Mode::Failing, Mode::Hanging, Mode::Slow(200 * MILLISECOND), Mode::Healthy];
            switch.set(modes[usize::try_from(numbers.below(5)).unwrap()]);
            sleep(Duration::from_millis(50 + numbers.below(750))).await;
        }
        switch.set(Mode::Healthy);
        is_over.set(true);
    };
    let (clients, ()) = tokio::join!(clients, weather);
    for (token, renewed, turned_away) in clients {
        assert!(renewed > 100 && turned_away > 10, "{renewed} and {turned_away}");
        let session = authority.session_of(&token).await;
        assert_eq!((session.is_live, session.session.generation), (true, renewed + 1));
        authority.refresh(&token).await.pair();
    }
    assert_eq!(authority.audited().await, ["signed_in"; 8], "nobody else noticed");
}
