//! A server that cannot ask what is revoked.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{ask, end_a_session, end_from_outside, published, take};
use crate::fixture::{Authority, Log, SECOND, soon};

const HIDE: &str = "ALTER TABLE revocations RENAME TO hidden_revocations";
const SHOW: &str = "ALTER TABLE hidden_revocations RENAME TO revocations";

#[actix_web::test]
async fn nothing_is_signed_that_the_store_did_not_confirm() {
    let (log, _guard) = Log::capture_here();
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    authority.clock.run();
    end_a_session(&authority).await;
    published(&authority, 1).await;
    let refresh = authority.sign_in().await.refresh;

    authority.folder.sql(HIDE);
    let (hidden_at, hidden) = (authority.clock.now().seconds(), Instant::now());
    let mut answered = 0;
    let silent_after = loop {
        let answer = ask(&authority, if answered % 2 == 0 { "" } else { "?after=1&wait=1" }).await;
        if answer.status == 503 {
            assert_eq!((answer.header("retry-after"), answer.header("cache-control")), ("1", "no-store"));
            break hidden.elapsed();
        }
        let taken = take(&authority, &answer).await;
        assert!(taken.issued_at <= hidden_at, "{} is after {hidden_at}", taken.issued_at);
        assert_eq!(taken.seq, 1);
        answered += 1;
        sleep(Duration::from_millis(100)).await;
    };
    assert!(silent_after > 8 * SECOND && silent_after < 13 * SECOND, "{silent_after:?}");
    assert!(answered > 3);
    for query in ["", "?after=0", "?after=1", "?after=1&wait=1", "?after=9&wait=1"] {
        assert_eq!(ask(&authority, query).await.status, 503, "{query}");
    }
    // No clock is asked how long it has been.
    authority.clock.set_back(3600 * SECOND);
    assert_eq!(ask(&authority, "").await.status, 503);
    authority.clock.advance(3600 * SECOND);
    // What needs no record goes on.
    authority.refresh(&refresh).await.pair();
    assert_eq!(log.lines_with("the revocation feed cannot be read").len(), 1, "{}", log.text());

    // Who asks now is told as soon as it can be.
    authority.folder.sql(SHOW);
    soon(async || (ask(&authority, "").await.status == 200).then_some(())).await;
    end_from_outside(&authority).await;
    let taken = published(&authority, 2).await;
    assert!(taken.issued_at > hidden_at);
    assert_eq!(log.lines_with("the revocation feed is read again").len(), 1);
}
