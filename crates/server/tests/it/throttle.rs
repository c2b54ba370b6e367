//! Failed sign-ins, per user and per address.

use std::time::Duration;

use futures_util::future::join_all;

use crate::fixture::{ADA, Answer, Authority, DAY, MILLISECOND, NO_ACCOUNT, PASSWORD, SECOND, hashed};

/// Demands the answer of a throttle that opens in `seconds`.
#[track_caller]
fn is_throttled(answer: &Answer, seconds: u64) {
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let body = format!(r#"{{"detail":"Request was throttled. Expected available in {seconds} {unit}."}}"#);
    answer.is(429, &body);
    assert_eq!(answer.header("retry-after"), seconds.to_string());
}

async fn fail(authority: &Authority, username: &str, times: usize) {
    for _ in 0..times {
        authority.obtain(username, "wrong").await.is(401, NO_ACCOUNT);
    }
}

#[actix_web::test]
async fn after_ten_failures_a_user_waits_twice_as_long_each_time() {
    let authority = Authority::new().await;
    fail(&authority, ADA, 10).await;
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        for password in ["wrong", PASSWORD] {
            is_throttled(&authority.obtain(ADA, password).await, seconds);
        }
        authority.clock.advance_almost(Duration::from_secs(seconds));
        is_throttled(&authority.obtain(ADA, PASSWORD).await, 1);
        authority.clock.advance(MILLISECOND);
        fail(&authority, ADA, 1).await;
    }
    assert_eq!(authority.audited().await.len(), 22, "who is throttled guesses nothing");
}

#[actix_web::test]
async fn a_throttle_says_nothing_about_who_exists() {
    let authority = Authority::new().await;
    for name in [ADA, "nobody"] {
        fail(&authority, name, 10).await;
    }
    let (known, unknown) = (authority.obtain(ADA, "x").await, authority.obtain("nobody", "x").await);
    is_throttled(&unknown, 1);
    assert_eq!(known.without_request_id(), unknown.without_request_id());
    fail(&authority, "Nobody", 1).await;
}

#[actix_web::test]
async fn a_success_forgets_the_failures_of_its_user() {
    let authority = Authority::new().await;
    for _ in 0..3 {
        fail(&authority, ADA, 9).await;
        authority.sign_in().await;
    }
    fail(&authority, ADA, 10).await;
    is_throttled(&authority.obtain(ADA, PASSWORD).await, 1);
}

#[actix_web::test]
async fn successes_alone_never_throttle() {
    let authority = Authority::with("throttle_user_failures = 1\nthrottle_address_failures = 1").await;
    for _ in 0..5 {
        authority.sign_in().await;
    }
}

#[actix_web::test]
async fn after_a_hundred_failures_an_address_waits_whoever_it_asks_for() {
    let authority = Authority::new().await;
    for guess in 0..100 {
        // A success in between wipes out nobody else's failures.
        if guess == 50 {
            authority.sign_in().await;
        }
        fail(&authority, &format!("nobody-{guess}"), 1).await;
    }
    is_throttled(&authority.obtain(ADA, PASSWORD).await, 1);
    is_throttled(&authority.obtain("somebody", "x").await, 1);
    authority.obtain_from("192.0.2.2:50000", "", ADA, PASSWORD).await.pair();
    authority.clock.advance(SECOND);
    fail(&authority, "somebody", 1).await;
    is_throttled(&authority.obtain(ADA, PASSWORD).await, 2);
}

#[actix_web::test]
async fn a_user_has_one_counter_wherever_the_guesses_come_from() {
    let authority = Authority::new().await;
    for host in 1..=10 {
        authority.obtain_from(&format!("198.51.100.{host}:1"), "", ADA, "wrong").await.is(401, NO_ACCOUNT);
    }
    is_throttled(&authority.obtain_from("198.51.100.11:1", "", ADA, PASSWORD).await, 1);
    is_throttled(&authority.obtain_from("[2001:db8::1]:1", "", ADA, PASSWORD).await, 1);
}

#[actix_web::test]
async fn of_parallel_guesses_at_most_ten_reach_the_hasher() {
    let authority = Authority::with("throttle_address_failures = 1000").await;
    let answers = join_all((0..200).map(|_| authority.obtain(ADA, "wrong"))).await;
    let (compared, throttled): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 401);
    assert_eq!((compared.len(), throttled.len()), (10, 190));
    for answer in throttled {
        is_throttled(answer, 1);
    }
}

#[actix_web::test]
async fn a_forwarded_address_is_believed_from_configured_proxies_only() {
    let settings = "throttle_address_failures = 3\ntrusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\"]";
    let authority = Authority::with(settings).await;
    let ask = async |peer: &'static str, forwarded: &'static str, name: &str| {
        authority.obtain_from(peer, forwarded, name, "wrong").await.status
    };
    // From elsewhere the header is only text: each guess counts for the peer.
    for (guess, forwarded) in ["203.0.113.1", "203.0.113.2", "203.0.113.3"].into_iter().enumerate() {
        assert_eq!(ask("198.51.100.1:1", forwarded, &format!("a{guess}")).await, 401);
    }
    assert_eq!(ask("198.51.100.1:1", "203.0.113.4", "a4").await, 429);

    // Through a proxy it counts for who stands behind it; what that one wrote itself does not help.
    for (guess, (peer, forwarded)) in [
        ("10.1.2.3:1", "203.0.113.9"),
        ("192.0.2.7:1", "6.6.6.6, 203.0.113.9"),
        ("10.1.2.3:1", "203.0.113.9, 10.9.9.9"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(peer, forwarded, &format!("b{guess}")).await, 401);
    }
    assert_eq!(ask("10.1.2.3:1", "203.0.113.9", "b4").await, 429);
    assert_eq!(ask("10.1.2.3:1", "203.0.113.10", "b5").await, 401);
    assert_eq!(authority.audit().await.pop().unwrap().actor, "address:203.0.113.10");
}

#[actix_web::test]
async fn ipv6_is_counted_by_its_network() {
    let settings = "throttle_address_failures = 3\ntrusted_proxies = [\"10.0.0.1\"]";
    let authority = Authority::with(settings).await;
    for (guess, (peer, forwarded)) in [
        ("[2001:db8:1:2::1]:1", ""),
        ("[2001:db8:1:2:ffff::2]:1", ""),
        ("10.0.0.1:1", "2001:db8:1:2:3:4:5:6"),
    ]
    .into_iter()
    .enumerate()
    {
        authority.obtain_from(peer, forwarded, &format!("n{guess}"), "x").await.is(401, NO_ACCOUNT);
    }
    is_throttled(&authority.obtain_from("10.0.0.1:1", "2001:db8:1:2::77", "n4", "x").await, 1);
    authority.obtain_from("10.0.0.1:1", "2001:db8:1:3::1", "n5", "x").await.is(401, NO_ACCOUNT);
    // An IPv4 address in the clothes of IPv6 is itself.
    for guess in 0..3 {
        authority
            .obtain_from("[::ffff:198.51.100.1]:1", "", &format!("m{guess}"), "x")
            .await
            .is(401, NO_ACCOUNT);
    }
    is_throttled(&authority.obtain_from("198.51.100.1:1", "", "m4", "x").await, 1);
    authority.obtain_from("198.51.100.2:1", "", "m5", "x").await.is(401, NO_ACCOUNT);
}

#[actix_web::test]
async fn counters_survive_a_restart() {
    let authority = Authority::new().await;
    fail(&authority, ADA, 10).await;
    let again = authority.restarted().await;
    is_throttled(&again.obtain(ADA, PASSWORD).await, 1);
}

#[actix_web::test]
async fn a_counter_is_forgotten_after_a_day_without_failures() {
    let authority = Authority::new().await;
    authority.add_user("bob", hashed(PASSWORD)).await;
    fail(&authority, "bob", 9).await;
    authority.clock.advance_almost(DAY);
    fail(&authority, "bob", 1).await;
    is_throttled(&authority.obtain("bob", PASSWORD).await, 1);
    authority.clock.advance(DAY);
    fail(&authority, "bob", 10).await;
    is_throttled(&authority.obtain("bob", PASSWORD).await, 1);
}
