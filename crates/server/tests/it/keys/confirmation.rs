//! A server that cannot ask whether its keys are still the right ones.

use std::time::Duration;

use actix_web::test::TestRequest;
use tokio::time::sleep;

use crate::fixture::{ADA, Answer, Authority, BUSY, DAY, EMPTY, Log, PASSWORD, SECOND, SHORT, soon};

const HIDE: &str = "ALTER TABLE keys RENAME TO hidden_keys";
const SHOW: &str = "ALTER TABLE hidden_keys RENAME TO keys";

/// From then on no confirmation is younger than the one second that [`SHORT`] allows.
const TOO_LONG: Duration = Duration::from_millis(1050);

async fn get(authority: &Authority, path: &str) -> Answer {
    authority.send(TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn whoever_cannot_confirm_its_keys_stops_signing_and_nothing_else() {
    let (log, _guard) = Log::capture_here();
    let authority = Authority::with(SHORT).await;
    let (one, other) = (authority.sign_in().await, authority.sign_in().await);
    let successor = authority.refresh(&other.refresh).await.pair().refresh;
    let (set, sessions) = (authority.jwks().await, authority.living().await);

    authority.folder.sql(HIDE);
    sleep(TOO_LONG).await;
    authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
    authority.refresh(&one.refresh).await.is(503, BUSY);
    authority.refresh(&other.refresh).await.is(503, BUSY);
    let ready = get(&authority, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the signing keys are not confirmed\n"));
    assert_eq!(get(&authority, "/livez").await.status, 200);
    assert_eq!(
        authority.jwks().await.without_request_id(),
        set.clone().without_request_id().not_to_be_kept()
    );
    // What needs no signature goes on.
    authority.verify(&one.access).await.is(200, EMPTY);
    authority.verify(&one.refresh).await.is(200, EMPTY);
    authority.blacklist("junk").await;

    // No clock is asked how long it has been.
    authority.clock.set_back(3600 * SECOND);
    authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
    authority.clock.advance(3600 * SECOND);
    assert_eq!(log.lines_with("cannot be confirmed").len(), 1, "{}", log.text());
    assert!(log.lines_with("cannot be confirmed")[0].contains("keys"));

    authority.folder.sql(SHOW);
    soon(async || (get(&authority, "/readyz").await.status == 200).then_some(())).await;
    assert_eq!(authority.living().await, sessions);
    assert_eq!(authority.audited().await, ["signed_in", "signed_in"], "no refusal was counted");
    assert_eq!(authority.refresh(&other.refresh).await.pair().refresh, successor);
    authority.refresh(&one.refresh).await.pair();
    authority.sign_in().await;
    assert_eq!(log.lines_with("are confirmed again").len(), 1);
}

#[actix_web::test]
async fn a_short_trouble_is_not_noticed() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    authority.folder.sql(HIDE);
    // Several times over, and far from the ten seconds.
    sleep(Duration::from_secs(1)).await;
    let refresh = authority.refresh(&refresh).await.pair().refresh;
    assert_eq!(get(&authority, "/readyz").await.status, 200);
    authority.folder.sql(SHOW);
    authority.refresh(&refresh).await.pair();
}

#[actix_web::test]
async fn a_clock_that_jumps_neither_confirms_nor_denies() {
    let authority = Authority::with(SHORT).await;
    let mut refresh = authority.sign_in().await.refresh;
    for _ in 0..3 {
        authority.clock.advance(DAY);
        refresh = authority.refresh(&refresh).await.pair().refresh;
        sleep(TOO_LONG).await;
    }
    authority.clock.set_back(3600 * SECOND);
    authority.sign_in().await;
}
