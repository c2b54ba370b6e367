//! Polls that wait.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{ask, end_a_session, end_from_outside, published, take};
use crate::fixture::{Authority, MILLISECOND, SECOND};

/// For a machine that is busy with other tests.
const MARGIN: Duration = Duration::from_millis(750);

#[actix_web::test]
async fn nothing_new_is_said_when_the_time_is_over() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    authority.clock.run();
    end_a_session(&authority).await;
    published(&authority, 1).await;
    for (query, wait) in
        [("?after=1&wait=2", 2 * SECOND), ("?after=1&wait=0", Duration::ZERO), ("?after=1", Duration::ZERO)]
    {
        let (begun, before) = (Instant::now(), authority.clock.now());
        let answer = ask(&authority, query).await;
        let elapsed = begun.elapsed();
        assert!(elapsed >= wait && elapsed < wait + 2 * MARGIN, "{query}: {elapsed:?}");
        let taken = take(&authority, &answer).await;
        assert_eq!((taken.after, taken.seq, taken.records.len()), (1, 1, 0));
        if wait > SECOND {
            assert!(taken.issued_at > before.seconds(), "it was signed after the wait");
        }
    }
}

#[actix_web::test]
async fn news_are_told_at_once_whoever_wrote_them() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    authority.clock.run();
    let mut latencies = Vec::new();
    for seq in 0..20 {
        // Polls that know the present position, the one before, and none.
        let query = format!("?after={seq}&wait=25");
        let polls = join_all((0..10).map(|_| ask(&authority, &query)));
        let end = async {
            tokio::time::sleep(Duration::from_millis(37 * seq)).await;
            if seq % 2 == 0 {
                end_from_outside(&authority).await;
            } else {
                end_a_session(&authority).await;
            }
            Instant::now()
        };
        let told = async { (polls.await, Instant::now()) };
        let (committed_at, (answers, told_at)) = tokio::join!(end, told);
        for answer in &answers {
            assert_eq!(answer.body, answers[0].body, "all share the same bytes");
        }
        let taken = take(&authority, &answers[0]).await;
        assert_eq!((taken.after, taken.seq, taken.records.len()), (seq, seq + 1, 1));
        latencies.push(told_at.saturating_duration_since(committed_at));
    }
    latencies.sort();
    assert!(latencies[19] < 250 * MILLISECOND + MARGIN, "{latencies:?}");
    assert!(latencies[10] < 250 * MILLISECOND, "{latencies:?}");
}

/// Whenever a poll comes, it hears of what is committed while it comes.
#[actix_web::test]
async fn no_poll_sleeps_through_news() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    authority.clock.run();
    let follow = async {
        let (mut known, mut polls) = (0, 0);
        while known < 60 {
            let begun = Instant::now();
            let taken = take(&authority, &ask(&authority, &format!("?after={known}&wait=25")).await).await;
            assert!(begun.elapsed() < 5 * SECOND, "slept through {known}");
            assert!(taken.after <= known && taken.seq > known);
            known = taken.seq;
            polls += 1;
        }
        polls
    };
    let end = async {
        for round in 0..60 {
            end_from_outside(&authority).await;
            tokio::time::sleep((round * 7 % 50) * MILLISECOND).await;
        }
    };
    let (polls, ()) = tokio::join!(follow, end);
    assert!(polls > 3, "{polls}");
}

#[actix_web::test]
async fn who_hangs_up_leaves_the_others_waiting() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    let query = "?after=0&wait=25";
    let patient = join_all((0..10).map(|_| ask(&authority, query)));
    let impatient = async {
        let polls = join_all((0..500).map(|_| ask(&authority, query)));
        assert!(tokio::time::timeout(200 * MILLISECOND, polls).await.is_err());
        end_from_outside(&authority).await;
    };
    let (answers, ()) = tokio::join!(patient, impatient);
    for answer in answers {
        assert_eq!(take(&authority, &answer).await.seq, 1);
    }
}
