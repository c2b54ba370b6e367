//! The hasher: what it is asked, and what happens when it is asked too much.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use actix_web::test::TestRequest;
use attesto_core::{Password, PasswordHash};
use attesto_server::{Passwords, block_on};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::time::{sleep, timeout};

use crate::fixture::{ADA, Act, Answer, Authority, BUSY, NO_ACCOUNT, PASSWORD, hashed};

/// Where guesses come from that shall not count for anybody else.
const ELSEWHERE: &str = "198.51.100.1:1";

/// A hash that has its turn is done by then.
const MOMENT: Duration = Duration::from_millis(200);

/// However many cores have to be kept busy.
const MANY_GUESSES: &str = "throttle_address_failures = 100000";

/// A stored hash with so many passes that one comparison takes about `duration`, on whatever machine this is.
fn slow_hash(duration: Duration) -> PasswordHash {
    const SAMPLE: u128 = 40;
    static SAMPLE_TAKES: LazyLock<Duration> = LazyLock::new(|| {
        let sample = with_passes(SAMPLE);
        let compare = move || {
            let password = Password::typed("x".to_owned());
            let begun = Instant::now();
            block_on(Passwords::new().verify(password, Some(sample.clone()))).unwrap();
            begun.elapsed()
        };
        // The best of several: other tests run at the same time.
        thread::spawn(move || (0..3).map(|_| compare()).min().unwrap()).join().unwrap()
    });
    with_passes(SAMPLE * duration.as_micros() / SAMPLE_TAKES.as_micros() + 1)
}

fn with_passes(passes: u128) -> PasswordHash {
    PasswordHash::new(hashed("slow").expose().replace("t=2", &format!("t={passes}")))
}

/// Gives the hasher so much to do that nobody else has a turn, for about `duration`.
async fn occupy_hasher(authority: &Authority, duration: Duration) -> LocalBoxFuture<'static, Vec<Answer>> {
    let permits = available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1));
    let hash = slow_hash(duration);
    let mut running = Vec::new();
    for number in 0..permits {
        let name = format!("slow-{number}");
        authority.add_user(&name, hash.clone()).await;
        running.push(actix_web::rt::spawn(authority.obtain_from(ELSEWHERE, "", &name, "x")));
    }
    // From when on even a fast hash does not get its turn.
    let mut number = 0;
    while let Ok(answer) =
        timeout(MOMENT, authority.obtain_from(ELSEWHERE, "", &format!("probe-{number}"), "x")).await
    {
        answer.is(401, NO_ACCOUNT);
        number += 1;
    }
    async { join_all(running).await.into_iter().map(Result::unwrap).collect() }.boxed_local()
}

#[actix_web::test]
async fn every_byte_of_a_long_password_counts() {
    let authority = Authority::new().await;
    let stem = "p".repeat(1023);
    authority.add_user("long", hashed(&format!("{stem}a"))).await;
    authority.obtain("long", &format!("{stem}a")).await.pair();
    for wrong in [format!("{stem}b"), stem.clone(), format!("{stem}aa")] {
        authority.obtain("long", &wrong).await.is(401, NO_ACCOUNT);
    }
}

#[actix_web::test]
async fn who_exists_does_not_decide_who_is_hashed() {
    let authority = Authority::with(MANY_GUESSES).await;
    authority.add_user("eve", hashed(PASSWORD)).await;
    authority.operator(&[Act::DisableUser]).await;
    let slow = occupy_hasher(&authority, Duration::from_secs(5)).await;
    // Whoever is answered without a hash is answered at once; who needs one waits for two seconds in vain.
    let answers = join_all([
        authority.obtain(ADA, PASSWORD),
        authority.obtain(ADA, "wrong"),
        authority.obtain("eve", PASSWORD),
        authority.obtain("eve", "wrong"),
        authority.obtain("nobody", PASSWORD),
    ])
    .await;
    for answer in &answers {
        answer.is(503, BUSY);
        assert_eq!(answer.without_request_id(), answers[0].without_request_id());
    }
    for answer in slow.await {
        answer.is(401, NO_ACCOUNT);
    }
    authority.obtain("eve", PASSWORD).await.pair();
}

#[actix_web::test]
async fn while_the_hasher_is_busy_sign_ins_are_turned_away_and_everything_else_goes_on() {
    let authority = Authority::with(&format!("{MANY_GUESSES}\nthrottle_user_failures = 3")).await;
    let refresh = authority.sign_in().await.refresh;
    let slow = occupy_hasher(&authority, Duration::from_secs(5)).await;
    let order = RefCell::new(Vec::new());
    let sign_ins = async {
        for answer in join_all((0..3).map(|_| authority.obtain(ADA, PASSWORD))).await {
            answer.is(503, BUSY);
        }
        order.borrow_mut().push("sign-ins");
    };
    let others = async {
        for path in ["/.well-known/jwks.json", "/livez", "/readyz"] {
            assert_eq!(authority.send(TestRequest::get().uri(path)).await.status, 200);
        }
        authority.refresh(&refresh).await.pair();
        order.borrow_mut().push("others");
    };
    tokio::join!(sign_ins, others);
    assert_eq!(*order.borrow(), ["others", "sign-ins"]);
    slow.await;
    // What was never compared is not counted as a failure.
    authority.sign_in().await;
}

#[actix_web::test]
async fn a_sign_in_whose_caller_hangs_up_is_carried_through() {
    let authority = Authority::with(&format!("{MANY_GUESSES}\nthrottle_user_failures = 2")).await;
    // Shorter than anybody waits for the hasher, and longer than this caller does.
    let slow = occupy_hasher(&authority, Duration::from_millis(700)).await;
    let waiting = actix_web::rt::spawn(authority.obtain(ADA, PASSWORD));
    sleep(Duration::from_millis(20)).await;
    waiting.abort();
    slow.await;
    let begun = Instant::now();
    while !authority.audited().await.contains(&"signed_in".to_owned()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it was left half done");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(authority.sessions().await.len(), 1);
    for _ in 0..2 {
        authority.obtain(ADA, "wrong").await.is(401, NO_ACCOUNT);
    }
}
