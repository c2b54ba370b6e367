//! Clocks that jump.

use attesto_core::Instant;
use attesto_server::purge;
use attesto_token::feed::{FeedAnswer, RevokedBy};

use super::{ask, end_a_session, end_from_outside, published, take};
use crate::fixture::{Authority, DAY, SECOND, claims, soon};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// The first snapshot of this second.
async fn issued_at(authority: &Authority, second: i64) -> FeedAnswer {
    let answer = soon(async || {
        let answer = ask(authority, "").await;
        (answer.status == 200 && claims(&answer.body)["iat"] == second).then_some(answer)
    });
    take(authority, &answer.await).await
}

#[actix_web::test]
async fn a_clock_that_goes_back_loses_no_record_and_delays_none() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    end_from_outside(&authority).await;
    let before = published(&authority, 1).await;
    authority.clock.set_back(HOUR);
    let back = issued_at(&authority, authority.clock.now().seconds()).await;
    assert_eq!((back.epoch, back.seq, back.salt), (before.epoch, 1, before.salt));
    assert_eq!(back.records, before.records);
    assert_eq!(back.issued_at, authority.clock.now().seconds());

    let poll = ask(&authority, "?after=1&wait=25");
    let (answer, ()) = tokio::join!(poll, end_from_outside(&authority));
    let news = take(&authority, &answer).await;
    assert_eq!((news.after, news.seq, news.records.len()), (1, 2, 1));
    assert_eq!(published(&authority, 2).await.records.len(), 2);
    // To a server that starts in the wrong hour it is all the same.
    let authority = authority.restarted().await;
    assert_eq!(published(&authority, 2).await.records.len(), 2);
}

#[actix_web::test]
async fn a_record_leaves_the_answers_when_it_expires() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    end_from_outside(&authority).await;
    let before = published(&authority, 1).await;
    let expires = i64::from(before.records[0].expires);
    let taken_at = async |second: i64| {
        authority.clock.advance_to(Instant::from_seconds(second));
        issued_at(&authority, second).await
    };
    assert_eq!(taken_at(expires - 1).await.records, before.records, "in its last second");
    let after = taken_at(expires).await;
    assert_eq!((after.seq, after.records.len()), (1, 0));
    // An hour later as well, and what is new is told as ever.
    assert_eq!(taken_at(expires + 3600).await.records.len(), 0);
    let (answer, ()) = tokio::join!(ask(&authority, "?after=1&wait=25"), end_from_outside(&authority));
    assert_eq!(take(&authority, &answer).await.records.len(), 1);
    // It was only the clock.
    authority.clock.set_back(3600 * SECOND + HOUR);
    let taken = issued_at(&authority, authority.clock.now().seconds()).await;
    assert_eq!(taken.records.len(), 2);
}

#[actix_web::test]
async fn a_clock_that_is_almost_half_an_hour_ahead_loses_no_record() {
    let authority = Authority::with("access_token_lifetime = \"1h\"\nrefresh_idle_lifetime = \"2h\"").await;
    let following = authority.follow_feed();
    end_a_session(&authority).await;
    let before = published(&authority, 1).await;
    assert_eq!(before.records.len(), 1);

    // The record lives for 62 minutes.
    let ahead = HOUR + 29 * MINUTE;
    authority.clock.advance(ahead);
    purge(&authority.store, authority.audit_chain(), authority.clock.now(), 365 * DAY).await.unwrap();
    drop(following);
    // Whatever it had in memory is gone.
    let authority = authority.restarted().await;
    let _following = authority.follow_feed();
    assert_eq!(published(&authority, 1).await.records.len(), 0);

    authority.clock.set_back(ahead);
    assert_eq!(issued_at(&authority, before.issued_at).await.records, before.records);
}

/// Which somebody may want to end.
#[actix_web::test]
async fn a_clock_that_is_almost_a_day_ahead_loses_no_session() {
    let authority = Authority::with("access_token_lifetime = \"1h\"\nrefresh_idle_lifetime = \"2h\"").await;
    let living = authority.sign_in().await;
    authority.clock.advance(23 * HOUR);
    purge(&authority.store, authority.audit_chain(), authority.clock.now(), 365 * DAY).await.unwrap();
    authority.clock.set_back(23 * HOUR);
    let _following = authority.follow_feed();
    authority.refresh(&living.refresh).await.pair();
    end_from_outside(&authority).await;
    let news = published(&authority, 1).await;
    assert_eq!(news.records.last().map(|record| record.kind), Some(RevokedBy::Subject));
}
